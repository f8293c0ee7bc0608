"""What is meant where the user names nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fsh.defaults import (
    as_paths,
    as_texts,
    newest_person,
    newest_run,
    person_folder,
    worker_count,
)
from fsh.schemas.errors import FshError
from fsh.threads import available_cores


def run(folder: Path, method: str | None, time: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").touch()
    os.utime(folder / "metrics.jsonl", (time, time))
    (folder / "config.json").write_text(json.dumps({"method": method} if method else {}))
    return folder


def test_the_newest_run_is_of_fsh(tmp_path):
    run(tmp_path / "a", "fsth", 10)
    newest = run(tmp_path / "b", None, 20)
    run(tmp_path / "c", "x2face", 30)
    (tmp_path / "no run").mkdir()
    assert newest_run(tmp_path) == newest_run(str(tmp_path)) == newest
    damaged = run(tmp_path / "d", "x2face", 40)
    (damaged / "config.json").write_text("{")
    assert newest_run(tmp_path) == damaged, "whoever opens it says what is wrong with it"
    with pytest.raises(FshError, match="no training run here"):
        newest_run(tmp_path / "nowhere")


def test_the_newest_person_is_the_one_made_last(tmp_path):
    for number, name in enumerate(("new", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "person.json").touch()
        os.utime(tmp_path / name / "person.json", (10 - number, 10 - number))
    assert newest_person(tmp_path) == tmp_path / "new"
    with pytest.raises(FshError, match="run `fsh personalize` first"):
        newest_person(tmp_path / "nowhere")


def test_a_name_means_the_person_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("people/ann", "elsewhere/ann", "bob"):
        Path(folder).mkdir(parents=True)
        Path(folder, "person.json").touch()
    Path("ann").mkdir()  # somebody's folder of that name, and no person
    Path("ann", "photo.jpg").touch()
    assert person_folder("ann") == Path("people/ann")
    assert person_folder("ann", "elsewhere") == Path("elsewhere/ann")
    assert person_folder("bob") == Path("bob") and person_folder("people/ann") == Path("people/ann")
    assert person_folder(tmp_path / "people/ann") == tmp_path / "people/ann"
    with pytest.raises(FshError, match="no such person → people has ann") as caught:
        person_folder("anna")
    assert caught.value.where == "people/anna"
    with pytest.raises(FshError, match="run `fsh personalize` first"):
        person_folder("anna", "nowhere")


def test_one_or_several():
    assert as_paths("a") == as_paths(Path("a")) == as_paths(["a"]) == [Path("a")]
    assert as_texts("https://a/b") == ["https://a/b"] and as_texts([Path("a"), "b"]) == ["a", "b"]
    assert worker_count(3) == 3 and worker_count(0) == available_cores() >= 1
