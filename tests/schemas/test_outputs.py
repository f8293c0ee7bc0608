"""Where a command may write: inputs by any name, folders and files of others, owners, leftovers."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom, explaining_refusals, is_disk_full
from fsh.schemas.places.folder_kinds import EVALUATION, ONNX, PERSON, RUN
from fsh.schemas.places.layout import DataFolder, output_lock
from fsh.schemas.places.outputs import (
    owned_output,
    owned_outputs,
    owned_run,
    require_data_folder,
    require_different,
    require_free_file,
    require_outside_persons,
    require_own_folder,
)
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.places.temporary import (
    is_temporary,
    remove_abandoned,
    replacing,
    replacing_folder,
    temporary_file,
    temporary_folder,
)

CARD = json.dumps({"format": "fsh-person-1", "digest": "0", "files": {}})


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def person(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "person.json").write_text(CARD)
    (folder / "preview.png").write_bytes(b"png")
    return folder


def started(script: str, *arguments: object) -> subprocess.Popen:
    """A process that runs a script and has printed a line."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "there\n"
    return process


@pytest.fixture
def film(tmp_path) -> Path:
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"....ftyp a film, made by fsh")
    return path


def spellings(path: Path, place: Path) -> dict[str, Path]:
    """Other names of one file."""
    (place / "link.mp4").symlink_to(path)
    (place / "hard.mp4").hardlink_to(path)
    (place / "through").symlink_to(path.parent, target_is_directory=True)
    return {
        "itself": path,
        "link": place / "link.mp4",
        "hard link": place / "hard.mp4",
        "linked folder": place / "through" / path.name,
        "dots": path.parent / "x" / ".." / path.name,
        "proc": Path("/proc/self/cwd") / path.name,
        "bare": Path(path.name),
    }


def test_an_input_by_any_name_is_no_output(tmp_path, film, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    for how, name in spellings(film, tmp_path / "y").items():
        for output, given in ((name, film), (film, name)):
            with pytest.raises(FshError, match="is read by this command"):
                require_free_file(output, [given, None, "https://host/talk.mp4"])
                pytest.fail(how)
    require_free_file(film, [tmp_path / "other.mp4"], "film")


@pytest.mark.parametrize(
    ("name", "content", "free"),
    [
        ("out.mp4", b"", True),
        ("out.mp4", b"....ftyp made by fsh", True),
        ("out.mp4", b"....ftyp fsh.rendering", True),
        ("out.mp4", b"....ftyp a birthday", False),
        ("notes.txt", b"dear diary", False),
        ("page.html", b"<!doctype html><title>fsh: what the data set holds</title>", True),
        ("page.html", b"<!doctype html><title>my homepage</title>", False),
        ("track.npz", b"PK.. landmarks.npy", True),
        ("track.npz", b"PK.. weights.npy", False),
        ("track.npy", b"\x93NUMPY {'shape': (9, 68, 2)}", True),
        ("track.npy", b"\x93NUMPY {'shape': (9, 3)}", False),
    ],
)
def test_a_file_that_is_there_is_replaced_only_if_fsh_wrote_it(tmp_path, name, content, free):
    path = tmp_path / name
    path.write_bytes(content)
    if free:
        require_free_file(path)
        return
    with pytest.raises(FshError, match="is there already"):
        require_free_file(path)


def test_what_is_no_place_for_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "nowhere").symlink_to("gone")
    os.mkfifo(tmp_path / "pipe.mp4")
    for path, words in (
        (tmp_path, "is a folder"),
        (Path(), "is a folder"),
        (tmp_path / "file" / "a.mp4", "it is a file"),
        (tmp_path / "nowhere" / "a.mp4", "leads nowhere"),
        (tmp_path / "pipe.mp4", "no regular file"),
        (Path("/dev/null"), "no regular file"),
        (tmp_path / ("x" * 300 + ".mp4"), "no disk takes this name"),
    ):
        with pytest.raises(FshError, match=words):
            require_free_file(path)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(FshError, match="written twice"):
        require_different([tmp_path / "a.mp4", None, tmp_path / "x" / ".." / "a.mp4"])


def test_a_person_is_replaced_and_nothing_else(tmp_path, monkeypatch):
    photos = tmp_path / "me"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"jpeg")
    ada = person(tmp_path / "people" / "ada")
    before = everything(tmp_path)
    for folder in (tmp_path / "new", ada, tmp_path / "people" / "bea", photos / "person"):
        require_own_folder(folder, PERSON, [photos])
    (tmp_path / "to me").symlink_to(photos)
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "person.json").write_text('{"format": "mine"}')
    for folder, words in (
        (photos, "is read by this command"),
        (tmp_path / "to me", "is read by this command"),
        (tmp_path / "people" / ".." / "me", "is read by this command"),
        (tmp_path, "which this command reads"),
        (tmp_path / "people", "holds ada/person.json"),
        (tmp_path / "other", "holds person.json"),
        (tmp_path / "file", "is a file"),
    ):
        with pytest.raises(FshError, match=words):
            require_own_folder(folder, PERSON, [photos])
    for name in ("talk.mp4", "more/notes.txt"):
        (ada / name).parent.mkdir(exist_ok=True)
        (ada / name).write_text("mine")
        with pytest.raises(FshError, match=f"holds {name}.*move it away"):
            require_own_folder(ada, PERSON)
        (ada / name).unlink()
    with pytest.raises(FshError, match="holds more"):  # an empty folder of somebody's
        require_own_folder(ada, PERSON)
    (ada / "more").rmdir()
    (ada / ".DS_Store").write_text("")
    require_own_folder(ada, PERSON)
    monkeypatch.chdir(ada)
    with pytest.raises(FshError, match="the folder you are in"):
        require_own_folder(Path(), PERSON)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with pytest.raises(FshError, match="your home folder"):
        require_own_folder(tmp_path / "home", PERSON)
    with pytest.raises(FshError, match="lies in a person's folder"):
        require_outside_persons(ada / "onnx")
    assert before.items() <= everything(tmp_path).items()


def test_folders_that_are_written_into_must_be_their_commands_own(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    for kind in (RUN, EVALUATION, ONNX):
        require_own_folder(project, kind)
    (project / "README.md").write_text("my project")
    (project / "config.json").write_text('{"name": "mine"}')
    for kind in (RUN, EVALUATION, ONNX):
        with pytest.raises(FshError, match=r"holds README.md|holds config.json"):
            require_own_folder(project, kind)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text('{"preset": "nano", "network": {}, "loss": {}}')
    (run / "my notes.txt").write_text("fine")
    require_own_folder(run, RUN)
    study = tmp_path / "study"
    study.mkdir()
    (study / "key.json").write_text('{"study": "s", "triplets": []}')
    (study / "answers.json").write_text("{}")
    require_own_folder(study, EVALUATION)


def test_a_data_folder_takes_no_names_that_others_use(tmp_path):
    require_data_folder(DataFolder(tmp_path))
    (tmp_path / "talks").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    require_data_folder(DataFolder(tmp_path))
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(FshError, match="holds videos, which fsh did not make"):
        require_data_folder(DataFolder(tmp_path))
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "sources.parquet").write_bytes(b"")
    require_data_folder(DataFolder(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(FshError, match="cannot be written"):
        require_data_folder(DataFolder(tmp_path / "file"))


def test_a_command_that_was_stopped_as_it_began_leaves_a_data_folder(tmp_path):
    """Such as by a full disk: its folders are there, and nothing in them."""
    data = DataFolder(tmp_path)
    data.journals.mkdir(parents=True)
    data.shards.mkdir()
    require_data_folder(data)
    with temporary_file(data.sources) as half:
        half.write_text("half")
        require_data_folder(data)
    (data.records / "diary").mkdir()
    (data.records / "diary" / "mine.txt").write_text("mine")
    with pytest.raises(FshError, match="holds sources, which fsh did not make"):
        require_data_folder(data)


OWN = """
    import sys, time
    from pathlib import Path
    from fsh.schemas.places.run_layout import RunFolder
    from fsh.schemas.places.outputs import owned_output, owned_run
    place, kind = Path(sys.argv[1]), sys.argv[2]
    with owned_run(RunFolder(place)) if kind == "run" else owned_output(place, kind):
        print("there", flush=True)
        time.sleep(60)
"""


def test_the_second_is_told_who_is_at_work_and_a_dead_owner_is_no_obstacle(tmp_path):
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    film, run = tmp_path / "out.mp4", RunFolder(tmp_path / "run")
    owner = started(OWN, film, "animate")
    trainer = started(OWN, run.root, "run")
    for path in (film, tmp_path / "linked" / "out.mp4"):
        with (
            pytest.raises(FshError, match=r"another animate is at work here since \d{4}-") as told,
            owned_outputs([tmp_path / "free.mp4", path], "animate"),
        ):
            pass
        assert f"pid {owner.pid} on {socket.gethostname()}" in str(told.value)
    with pytest.raises(FshError, match=rf"another train .*pid {trainer.pid} "), owned_run(run):
        pass
    for process in (owner, trainer):
        process.kill()
        process.communicate()
    with owned_output(film, "animate"), owned_run(run):
        assert output_lock(film).exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["linked", "run"]
    assert list(run.root.iterdir()) == []


def test_a_forked_child_does_not_hold_what_its_parent_held(tmp_path):
    """As loaders of a killed training run, which live on for seconds."""
    with owned_output(tmp_path / "a", "train"):
        child = os.fork()
        if not child:
            signal.pause()
            os._exit(0)
    try:
        with owned_output(tmp_path / "a", "train"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_an_owner_leaves_no_folders_behind_that_nothing_was_written_to(tmp_path):
    with pytest.raises(FshError, match="no face"), owned_output(tmp_path / "a" / "b" / "c", "x"):
        raise FshError("no face")
    assert list(tmp_path.iterdir()) == []


WRITE = """
    import sys, time
    from pathlib import Path
    from fsh.schemas.places.temporary import replacing
    from fsh.schemas.places.temporary import replacing_folder, temporary_file
    place = Path(sys.argv[1])
    with (
        replacing(place / "a.json") as one,
        temporary_file(place / "film.mp4", ".unsigned.mp4"),
        replacing_folder(place / "step", lambda: None) as folder,
    ):
        (folder / "half").write_text("half")
        one.write_text("half")
        print("there", flush=True)
        time.sleep(60)
"""


def test_what_a_killed_writer_leaves_is_removed_and_a_living_ones_is_not(tmp_path):
    (tmp_path / "mine.tmp").write_text("mine")
    (tmp_path / ".mine-1.tmp").write_text("mine")
    alive, dead = started(WRITE, tmp_path), started(WRITE, tmp_path)
    assert sum(is_temporary(p.name) for p in tmp_path.iterdir()) == 6
    dead.kill()
    dead.communicate()
    remove_abandoned(tmp_path, tmp_path / "no such folder")
    left = [p.name for p in tmp_path.iterdir() if is_temporary(p.name)]
    assert len(left) == 3 and all(f"-fsh-{alive.pid}-" in name for name in left)
    alive.kill()
    alive.communicate()
    with owned_output(tmp_path / "film.mp4", "animate"):  # as the next command does
        assert not [p for p in tmp_path.iterdir() if is_temporary(p.name)]
    assert everything(tmp_path) == {"mine.tmp": b"mine", ".mine-1.tmp": b"mine"}


def test_whoever_writes_in_a_place_first_removes_what_a_dead_process_left_there(tmp_path):
    """Not only commands that own a place: cards, records, keys, caches."""
    for name, write in {
        "a file": lambda place: replacing(place / "card.json"),
        "a folder": lambda place: replacing_folder(place / "key", lambda: None),
        "a scratch folder": lambda place: temporary_folder(place / "key"),
    }.items():
        place = tmp_path / name
        place.mkdir()
        dead = started(WRITE, place)
        dead.kill()
        dead.communicate()
        assert len(list(place.iterdir())) == 3
        with write(place) as mine:
            assert list(place.iterdir()) == [mine]


@pytest.mark.parametrize("has_locks", [True, False], ids=["locks", "no locks"])
@pytest.mark.parametrize("days", [-3, 0, 3])
def test_what_a_living_process_writes_stays_whatever_the_clock_says(
    tmp_path, monkeypatch, has_locks, days
):
    def refused(*_) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    writer = started(WRITE, tmp_path)
    now = time.time()
    if not has_locks:
        monkeypatch.setattr("fcntl.flock", refused)
    monkeypatch.setattr("time.time", lambda: now + days * 86_400)
    before = sorted(tmp_path.iterdir())
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == before and len(before) == 3
    writer.kill()
    writer.communicate()
    remove_abandoned(tmp_path)
    assert not list(tmp_path.iterdir())


SWAP = """
    import os, signal, sys
    from pathlib import Path
    from fsh.schemas.places.temporary import replacing_folder
    place, rename = Path(sys.argv[1]), Path.rename
    def killed(self, target):
        if self.name.endswith(".tmp"):
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)
    Path.rename = killed
    print("there", flush=True)
    with replacing_folder(place, lambda: None) as folder:
        (folder / "new").write_text("new")
"""


def test_a_folder_whose_replacement_was_killed_gets_its_name_back(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "old").write_text("old")
    process = started(SWAP, tmp_path / "ada")
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "ada").exists()
    remove_abandoned(tmp_path)
    assert everything(tmp_path) == {"ada/old": b"old"}


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with replacing_folder(tmp_path / "link", lambda: None) as folder:
        (folder / "new").write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "new").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "x/y"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        ValueError("4000 requested and 0 written"),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, error):
    words = r"no room left on the disk .* free\).*make room"
    with pytest.raises(NoRoom, match=words), replacing(tmp_path / "a.json") as file:
        file.write_text("half")
        raise error
    with pytest.raises(NoRoom), replacing_folder(tmp_path / "step", lambda: None) as folder:
        (folder / "half").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []
    outer = RuntimeError("cannot be saved")
    outer.__cause__ = error
    assert is_disk_full(outer) and not is_disk_full(OSError(errno.EACCES, "no"))


def test_a_refusal_names_the_place(tmp_path):
    words = r"a: cannot be written \(Read-only file system\)"
    with pytest.raises(FshError, match=words), explaining_refusals(Path("a"), nothing_else=True):
        raise OSError(errno.EROFS, "Read-only file system", "b")
    with pytest.raises(FshError, match=r"b: not permitted"), explaining_refusals(Path("a")):
        raise OSError(errno.EACCES, "Permission denied", "b")
    with pytest.raises(KeyError), explaining_refusals(tmp_path):
        raise KeyError("not the disk")
