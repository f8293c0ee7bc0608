"""What commands write, as processes: nothing of the user's goes, two at once, a full disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import fsh
from erasable import make
from scripts import python, wait_for
from tiny_data import SPEC, clip_of
from tiny_run import Told, tiny_config, tiny_folder
from typer.testing import CliRunner
from untrained import untrained

import fsh as door
from fsh.cli.commands import app
from fsh.films import making as film_making
from fsh.pipeline.inputs.landmark_track import save_track
from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import RunFolder
from fsh.trainer.checkpoint import list_checkpoints
from fsh.trainer.training.loop import train


def everything(root: Path) -> dict[str, bytes]:
    """Relative path to contents of every file; folders and links too."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found[name] = path.read_bytes() if path.is_file() else b"no file"
    return found


def refused(words: str, *arguments: object) -> None:
    """The command, in this process, ends in one line with these words."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert isinstance(done.exception, FshError), (arguments, done.exception)
    assert words in str(done.exception), (arguments, done.exception)


def refused_outside(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 1 and done.stdout == "", done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("fsh: ") and words in lines[-1], done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(tiny_folder(folder / "data"), folder / "run", tiny_config(steps=1), Told())
    return folder / "run"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Two people, a driver that needs no detector, and things of the user's; one works here."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("ada", "bea")):
        untrained(seed=seed).save(tmp_path / "people" / name)
    motion = clip_of(1, 6)
    save_track(tmp_path / "talk.npz", motion.landmarks, motion.times, SPEC)
    for name in ("me/a.jpg", "home/letters/1.txt", "notes.txt", "holiday.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(f"{name}: mine")
    return tmp_path


def test_personalize_replaces_no_photos_no_people_and_no_home(place, run):
    before = everything(place)
    for output, words in (
        ("me", "is read by this command"),
        ("people", "people: holds ada/"),
        ("home", "home: holds letters/1.txt"),
        (".", "which this command reads"),
        ("notes.txt", "is a file"),
        ("people/ada/inner", "lies in a person's folder"),
        ("holiday.mp4/me", "is a file"),
        (run, "is read by this command"),
    ):
        arguments = ("personalize", "--photos", "me", "--run", run, "-o", output, "-q")
        refused(words, *arguments)
        if output in ("me", "people", "home"):
            refused_outside(fsh(*arguments, cwd=place), words)
        assert everything(place) == before
    assert list_checkpoints(RunFolder(run))


def test_from_python_a_foreign_folder_stays_as_well(place):
    with pytest.raises(FshError, match=r"holds a\.jpg"):
        untrained().save(place / "me")
    untrained(seed=2).save(place / "people" / "ada")
    assert door.Person.load(place / "people" / "ada").size == 32
    assert not list(place.rglob(".*"))


@pytest.mark.parametrize("how", ["itself", "link", "hard link", "dots"])
def test_animate_writes_over_no_input(place, how):
    """The driver, and the picture that a head is pasted into."""
    shutil.copy(place / "talk.npz", place / "talk.mp4")  # never read: refused before the work
    (place / "p.jpg").write_bytes(b"\xff\xd8\xff photo")
    for given, words in (("talk.mp4", "--driving"), ("p.jpg", "--paste-back")):
        output = place / given
        if how == "link":
            (place / f"link-{given}").symlink_to(given)
            output = place / f"link-{given}"
        elif how == "hard link":
            (place / f"hard-{given}").hardlink_to(place / given)
            output = place / f"hard-{given}"
        elif how == "dots":
            output = place / "people" / ".." / given
        before = everything(place)
        drivers = () if words == "--driving" else ("--driving", "talk.npz")
        command = ("animate", *drivers, words, given, "-o", output, "-q")
        refused("is read by this command", *command)
        assert everything(place) == before


def test_animate_replaces_its_own_films_only(place):
    before = everything(place)
    ada = ("animate", "--person", "people/ada", "--driving", "talk.npz", "-q")
    for output, words in (
        ("holiday.mp4", "is there already"),
        ("home", "give a folder for PNG"),
        ("notes.txt/film.mp4", "is a file"),
    ):
        refused(words, *ada, "-o", output)
    refused("is read by this command", *ada, "--save-landmarks", "talk.npz")
    refused("a track's name ends in", *ada, "--save-landmarks", "notes.txt")
    assert everything(place) == before
    for mark in (True, False, True):
        door.animate("people/ada", "talk.npz", "out.mp4", mark=mark, save_landmarks="kept.npz")
    new = set(everything(place)) - set(before)
    assert new == {"out.mp4", "kept.npz", "people/ada/README.md"}  # the card: an unmarked film


def test_a_marked_film_writes_nothing_into_the_person(place):
    before = everything(place / "people")
    times = {path: path.stat().st_mtime_ns for path in (place / "people").rglob("*")}
    door.animate("people/ada", "talk.npz")
    assert everything(place / "people") == before
    assert {path: path.stat().st_mtime_ns for path in (place / "people").rglob("*")} == times


def test_of_two_films_in_one_place_what_is_reported_is_there(place):
    command = [sys.executable, "-m", "fsh.cli", "animate", "--driving", "talk.npz", "-q", "--json"]
    both = {
        name: subprocess.Popen(
            [*command, "--person", f"people/{name}", "-o", "out.mp4"],
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("ada", "bea")
    }
    ended = {name: (process.communicate(), process.returncode) for name, process in both.items()}
    done = [name for name, (_, code) in ended.items() if code == 0]
    for (_, errors), code in ended.values():
        assert code == 0 or "another animate is at work here since" in errors
    shown = door.verify(place / "out.mp4")
    cards = {}
    for name in done:
        card = place / "people" / name / "person.json"
        cards[hashlib.sha256(card.read_bytes()).hexdigest()] = name
    assert done and shown.ok and shown.made_from["person"] in cards
    assert not [path.name for path in place.iterdir() if path.name.startswith(".")]


def test_a_film_of_which_another_process_is_the_maker_is_refused(place):
    script = """
        import sys, time
        from pathlib import Path
        from fsh.schemas.places.outputs import owned_output
        with owned_output(Path("out.mp4"), "animate"):
            Path("there").touch()
            time.sleep(600)
    """
    owner = python(script, cwd=place)
    wait_for(place / "there")
    words = f"another animate is at work here since {time.strftime('%Y')}"
    refused(words, "animate", "--driving", "talk.npz", "-q")
    refused(f"pid {owner.pid} on", "animate", "--driving", "talk.npz", "-q")
    owner.kill()
    owner.communicate()
    door.animate("people/ada", "talk.npz")
    assert not [path.name for path in place.iterdir() if path.name.startswith(".")]


def test_a_folder_of_pictures_has_an_owner_while_it_is_written(place, monkeypatch):
    command = ("animate", "--person", "people/bea", "--driving", "talk.npz", "--format", "png")
    told = []

    def finish(*arguments, **named):
        if not told:  # by a second process, while the first picture is drawn
            told.append(fsh(*command, "-o", "pictures", cwd=place))
            told.append([path.name for path in place.glob("*pictures*")])
        return drawn(*arguments, **named)

    drawn = film_making.drawn_frames
    monkeypatch.setattr(film_making, "drawn_frames", finish)
    door.animate("people/ada", "talk.npz", "pictures", format="png")
    refused_outside(told[0], f"another animate is at work here since {time.strftime('%Y')}")
    assert f"pid {os.getpid()} on" in told[0].stderr and "pictures" not in told[1]
    assert (place / "pictures" / "times.json").is_file()
    assert not [path.name for path in place.iterdir() if path.name.startswith(".")]


def test_train_takes_no_folder_that_is_no_runs(tmp_path):
    data = tiny_folder(tmp_path / "data")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").write_text("mine")
    before = everything(tmp_path)
    for folder, words in ((data.root, "is read by"), (tmp_path / "project", "holds README.md")):
        refused(words, "train", "--data", data.root, "--run", folder)
    assert everything(tmp_path) == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no permission to mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(small_disk, place):
    """A checkpoint, a person, a film: one line each, and the same room at each try."""
    data = tiny_folder(place / "data")
    free = []
    for _ in range(2):
        with pytest.raises(FshError, match=r"no room left on the disk .*free"):
            train(data, small_disk / "run", tiny_config(steps=1), Told())
        assert not list((small_disk / "run").rglob(".*"))
        shutil.rmtree(small_disk / "run")
        (small_disk / "filler").write_bytes(b"x" * 190_000)
        with pytest.raises(FshError, match="no room left on the disk"):
            untrained().save(small_disk / "ada")
        film = ("animate", "--driving", "talk.npz", "-q", "-o", small_disk / "out.mp4")
        refused("no room left on the disk", *film)
        (small_disk / "filler").unlink()
        assert list(small_disk.iterdir()) == []
        free.append(shutil.disk_usage(small_disk).free)
    assert free[0] == free[1]


def test_other_commands_leave_what_is_not_theirs(place, run):
    data = tiny_folder(place / "data")
    (place / "videos").mkdir()
    (place / "videos" / "mine.mp4").write_text("mine")
    before = everything(place)
    evaluate = ("evaluate", "--run", run, "--data", data.root, "--split", "train", "-q", "-o")
    for arguments, words in (
        (("inspect", "-o", "notes.txt"), "is there already"),
        (("inspect", "-o", "home"), "is a folder"),
        ((*evaluate, "home"), "home: holds letters/1.txt"),
        ((*evaluate, run), "is read by this command"),
        ((*evaluate, "data"), "is read by this command"),
        ((*evaluate, "ok", "--user-study", "people/ada"), "people/ada: holds "),
        (("export", "-o", "home", "--person", "people/ada"), "home: holds letters"),
        (("export", "-o", "people/ada/onnx", "--person", "people/ada"), "lies in a person's"),
        (("demo", "home"), "holds letters"),
        (("ingest", "holiday.mp4", "--data", "."), "holds videos, which fsh did not make"),
        (("ingest", "holiday.mp4", "--data", "notes.txt"), "cannot be written"),
    ):
        refused(words, *arguments)
        assert everything(place) == before, arguments


def test_commands_that_only_read_write_nothing(place):
    data = make(place / "data", ["ann", "bob"])
    data.inspect_page.unlink()
    before = everything(place)
    door.inspect("data", "page.html")
    (place / "page.html").unlink()
    for arguments in (
        ("train", "--dry-run"),
        ("forget", "ann", "--dry-run"),
        ("forget", "--check", "ann"),
        ("ingest", "holiday.mp4", "--dry-run"),
        ("verify", "holiday.mp4"),
    ):
        CliRunner().invoke(app, [*arguments, "--json"])
        assert everything(place) == before, arguments
    for _ in range(2):  # its own page may be replaced
        assert door.inspect()["page"] == "data/inspect.html"
