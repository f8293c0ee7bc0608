"""Where a command may write: inputs by any name, folders and files of others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fsh.schemas.errors import FshError
from fsh.schemas.places.folder_kinds import EVALUATION, ONNX, PERSON, RUN
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.outputs import (
    require_data_folder,
    require_different,
    require_free_file,
    require_outside_persons,
    require_own_folder,
)
from fsh.schemas.places.temporary import (
    temporary_file,
)

CARD = json.dumps({"format": "fsh-person-1", "digest": "0", "files": {}})


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def person(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "person.json").write_text(CARD)
    (folder / "preview.png").write_bytes(b"png")
    return folder


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
