"""What lies outside the data folder: pictures that show the erased, and persons."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import fsh
from erasable import make

from fsh.pipeline.erasure.derived import (
    find_remnants_in_runs,
    person_at,
    pictures_of_erased,
    remove_person,
    remove_pictures,
)
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.outputs import owned_output
from fsh.schemas.places.run_layout import PersonFolder, RunFolder
from fsh.schemas.run_pictures import record_pictures, recorded_pictures
from fsh.schemas.tables.parquet import read_sources
from fsh.schemas.trained_on import TrainedFace, TrainedOn

OTHER = "v-0000000000000000"
CELL = "cells/fsth/T01/0123456789abcdef.npz"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> DataFolder:
    return make(tmp_path_factory.mktemp("made") / "data", ["ann", "bob", "", "cyd"])


@pytest.fixture
def place(pristine, tmp_path) -> Path:
    """A folder to work in: data, and a run whose evaluation and study show bob, another's not."""
    shutil.copytree(pristine.root, tmp_path / "data", symlinks=True)
    video = read_sources(pristine.sources)[1].video_id
    for run, own in (("one", [video, OTHER]), ("two", [OTHER])):
        folder = tmp_path / "runs" / run
        draw(folder, folder / "evaluation", own, CELL, "strips/fsth-00.png", "fsth.html")
        (folder / "evaluation" / "fsth.json").write_text(json.dumps({"frames": {"bob": [1, 1]}}))
        draw(folder, tmp_path / f"study {run}", own, "study.html", "key.json")
        draw(folder, folder / "samples", own, "step-00000001.png")
    (tmp_path / "runs" / "two" / "evaluation" / "fsth.json").write_text("{}")
    (tmp_path / "study one" / "answers.json").write_text("of somebody else")
    return tmp_path


def draw(run: Path, folder: Path, videos: list[str], *names: str) -> None:
    record_pictures(run, folder, videos)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"a picture")


def person(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("generator.safetensors", "preview.png", ".DS_Store"):
        (folder / name).write_bytes(b"ada")
    PersonFolder(folder).card.write_text(json.dumps({"format": "fsh-person-1", "name": "ada"}))
    return folder


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_record_keeps_videos_as_long_as_there_are_pictures(tmp_path):
    folder = tmp_path / "run" / "evaluation"
    record_pictures(tmp_path / "run", folder, ["a"])
    record_pictures(tmp_path / "run", folder, ["b"])
    (record,) = recorded_pictures(tmp_path / "run")
    assert record.videos == {"b"}, "nothing had been drawn"
    draw(tmp_path / "run", folder, ["b"], CELL)
    record_pictures(tmp_path / "run", folder, ["c"])
    (record,) = recorded_pictures(tmp_path / "run")
    assert record.videos == {"b", "c"} and [path.name for path in record.files()] == [
        Path(CELL).name
    ]


def test_a_run_may_move_and_its_pictures_may_lie_elsewhere(tmp_path):
    run = tmp_path / "run"
    draw(run, run / "evaluation", ["a"], CELL)
    draw(run, tmp_path / "study", ["a"], "study.html")
    run.rename(tmp_path / "moved")
    folders = {record.folder for record in recorded_pictures(tmp_path / "moved")}
    assert folders == {tmp_path / "moved" / "evaluation", tmp_path / "study"}


def test_a_damaged_record_is_an_error(tmp_path):
    records = RunFolder(tmp_path).pictures
    records.mkdir()
    for body in ("{", "{}", "[]"):
        (records / "x.json").write_text(body)
        with pytest.raises(FshError, match="cannot be read"):
            list(recorded_pictures(tmp_path))


def test_the_command_removes_what_shows_the_erased(place):
    before = everything(place)
    planned = fsh("forget", "bob", "--dry-run", "--json", cwd=place)
    assert planned.returncode == 0 and everything(place) == before, planned.stderr
    checked = json.loads(fsh("forget", "--check", "bob", "--json", cwd=place).stdout)
    assert "runs/one/evaluation/fsth.json" in {found["where"] for found in checked["found"]}
    done = fsh("forget", "bob", "--yes", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    goes = {Path(p["folder"]).name: p["goes"] for p in json.loads(done.stdout)["pictures"]}
    assert goes == {"evaluation": True, "study one": True, "samples": False}
    removed = {name for name in before - everything(place) if not name.startswith("data/")}
    assert {name for name in removed if not name.startswith("runs/one/shown/")} == {
        *(f"runs/one/evaluation/{name}" for name in (CELL, "strips/fsth-00.png", "fsth.html")),
        *("runs/one/evaluation/fsth.json", "study one/study.html", "study one/key.json"),
    }
    assert not (place / "runs" / "one" / "evaluation").exists()
    assert (place / "study one" / "answers.json").is_file()
    checked = fsh("forget", "--check", "--json", cwd=place)
    (found,) = json.loads(checked.stdout)["found"]
    assert checked.returncode == 1 and found["where"] == "runs/one/samples"
    shutil.rmtree(place / "runs" / "one" / "samples")
    assert fsh("forget", "--check", "bob", cwd=place).returncode == 0
    assert fsh("forget", "bob", cwd=place).returncode == 0
    assert not list(RunFolder(place / "runs" / "one").pictures.iterdir())


def test_pictures_without_a_record_are_reported(place):
    shutil.rmtree(RunFolder(place / "runs" / "two").pictures)
    erased = Tombstones().adding(identity="nobody here")
    unrecorded = pictures_of_erased(place / "runs", erased)
    assert [(s.folder.name, s.videos) for s in unrecorded] == [
        ("evaluation", None),
        ("samples", None),
    ]
    found = find_remnants_in_runs(place / "runs", [], erased)
    assert [f.where.split("/")[-1] for f in found] == ["evaluation", "samples"]


def test_pictures_are_removed_before_their_record(place):
    run = place / "runs" / "one"
    (one,) = [s for s in recorded_pictures(run) if s.folder.name == "evaluation"]
    shutil.rmtree(one.folder)
    remove_pictures(one)
    assert not one.record.exists() and len(list(recorded_pictures(run))) == 2


def test_a_person_goes_by_its_path(tmp_path):
    ada, eve = (person(tmp_path / "people" / name) for name in ("ada", "eve"))
    asked = fsh("forget", "people/ada", cwd=tmp_path)
    assert asked.returncode == 1 and "--yes" in asked.stderr and ada.is_dir()
    planned = fsh("forget", "people/ada", "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(planned.stdout)["persons"] == ["people/ada"] and ada.is_dir()
    assert fsh("forget", "--check", "people/ada", cwd=tmp_path).returncode == 1
    done = fsh("forget", "people/ada", "--yes", cwd=tmp_path)
    assert done.returncode == 0 and "films elsewhere" in done.stderr, done.stderr
    assert not ada.exists() and eve.is_dir() and not (tmp_path / "data").exists()


def test_what_fsh_did_not_write_stays_in_a_persons_folder_and_is_named(tmp_path):
    ada = person(tmp_path / "people" / "ada")
    mine = {"film\nof me.mp4", "photos/a.jpg", "link", "more"}
    (ada / "photos").mkdir()
    (ada / "more").mkdir()  # empty, and somebody's
    for name in ("film\nof me.mp4", "photos/a.jpg"):
        (ada / name).write_text("mine")
    (ada / "link").symlink_to(tmp_path)
    (ada / ".old.mp4.fsh-lock").touch()  # of a killed process
    asked = fsh("forget", "people/ada", "--dry-run", "--json", cwd=tmp_path)
    assert set(json.loads(asked.stdout)["staying"]) == {f"people/ada/{name}" for name in mine}
    assert "photos/a.jpg" in asked.stderr and "film\\nof me.mp4" in asked.stderr, asked.stderr
    with (
        owned_output(ada / "out.mp4", "animate"),
        pytest.raises(FshError, match="animate is at work here since"),
    ):
        remove_person(ada)
    done = fsh("forget", "people/ada", "--yes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {str(path.relative_to(ada)) for path in ada.rglob("*")} == {*mine, "photos"}
    assert tmp_path.is_dir()


def test_a_person_and_a_video_together(place):
    ada = person(place / "people" / "ada")
    done = fsh("forget", "bob", "people/ada", "people/ada/", "--yes", "--json", cwd=place)
    result = json.loads(done.stdout)
    assert result["targets"] == ["bob"] and result["persons"] == ["people/ada"]
    assert not ada.exists()


def test_only_a_path_to_a_persons_folder_is_a_person(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    person(tmp_path / "ada")
    (tmp_path / "link").symlink_to("ada")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "person.json").write_text("{}")
    assert person_at("ada") is None and person_at("./other") is None
    assert person_at("./ada") == Path("ada")
    with pytest.raises(FshError, match="a link"):
        person_at("./link")


def test_a_person_whose_removal_was_interrupted_can_be_named_again(tmp_path):
    folder = person(tmp_path / "ada")
    (folder / "generator.safetensors").unlink()
    found = person_at(str(folder))
    assert found is not None
    remove_person(found)
    assert not folder.exists()


def test_face_embeddings_that_a_run_keeps_are_named_and_removed(place):
    video = read_sources(place / "data" / "sources" / "sources.parquet")[1].video_id
    record = RunFolder(place / "runs" / "one").trained_on
    vector = np.ones(128, np.float32)
    faces = [TrainedFace(video, "bob", True, vector), TrainedFace(OTHER, "eve", True, vector)]
    TrainedOn(tuple(faces), ("sha",)).write(record)
    RunFolder(place / "runs" / "two").trained_on.write_bytes(b"PAR1 damaged")
    checked = fsh("forget", "--check", "bob", cwd=place)
    assert checked.returncode == 1 and "trained_on.parquet: column identity: bob" in checked.stderr
    planned = fsh("forget", "bob", "--dry-run", "--json", cwd=place)
    wanted = [{"run": "runs/one", "faces": 1}, {"run": "runs/two", "faces": None}]
    assert json.loads(planned.stdout)["faces"] == wanted and record.is_file()
    done = fsh("forget", "bob", "--yes", "--json", cwd=place)
    assert done.returncode == 0 and json.loads(done.stdout)["faces"] == wanted, done.stderr
    assert "runs/one: 1 face embeddings of them" in done.stderr
    assert [face.identity for face in TrainedOn.read(record).faces] == ["eve"]
    assert not RunFolder(place / "runs" / "two").trained_on.exists()
    assert video.encode() not in record.read_bytes() and b"bob" not in record.read_bytes()
    assert "trained_on" not in fsh("forget", "--check", "bob", video, cwd=place).stderr
