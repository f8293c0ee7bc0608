"""Other photos do not take a person's place; the same photos, or more of them, are an update."""

from __future__ import annotations

import json

import numpy as np
import pytest
from faces_helpers import portrait
from PIL import Image
from tiny_run import Told, tiny_config, tiny_folder
from untrained import untrained

import fsh
from fsh.person_photos import default_folder
from fsh.trainer.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    train(tiny_folder(root / "data"), root / "run", tiny_config(steps=1), Told())
    return root / "run"


def folder_of(root, name: str, *shifts: int):
    folder = root / name
    folder.mkdir(parents=True)
    for shift in shifts:
        Image.fromarray(np.roll(portrait(), shift, axis=1)).save(folder / f"{shift}.png")
    return folder


def make(run, photos, people, **options):
    return fsh.personalize(photos, run=run, people=people, steps=0, mark=False, **options)


def test_names_do_not_collide_and_other_photos_are_refused(run, tmp_path):
    people = tmp_path / "people"
    smith, jones = folder_of(tmp_path, "in/anna.smith", 0), folder_of(tmp_path, "in/anna.jones", 9)
    made = [make(run, photos, people).folder.name for photos in (smith, jones)]
    assert made == ["anna.smith", "anna.jones"]
    card = (people / "anna.smith" / "person.json").read_bytes()
    other = folder_of(tmp_path, "other/anna.smith", 5)
    for options in ({}, {"person": people / "anna.smith"}):
        with pytest.raises(fsh.FshError, match=r"other photos.*--person .*OTHER.*--replace"):
            make(run, other, people, **options)
    with pytest.raises(fsh.FshError, match="face"):
        make(run, smith, people, face=1)
    assert (people / "anna.smith" / "person.json").read_bytes() == card
    make(run, other, people, replace=True)
    assert (people / "anna.smith" / "person.json").read_bytes() != card


def test_the_same_photos_and_more_of_them_are_an_update(run, tmp_path):
    people = tmp_path / "people"
    made = make(run, folder_of(tmp_path, "a/me", 0), people)
    make(run, folder_of(tmp_path, "b/me", 0), people)  # another place, the same contents
    (tmp_path / "b/me/notes.txt").write_text("x")
    more = folder_of(tmp_path, "c/me", 0, 7)
    assert make(run, more, people).report.photos == 2
    with pytest.raises(fsh.FshError, match="other photos"):
        make(run, tmp_path / "b/me", people)  # one of the two
    about = json.loads((made.folder / "person.json").read_text())["about"]
    assert len(about["photo_sha256"]) == 2
    left_out = make(run, tmp_path / "b/me", tmp_path / "elsewhere").to_json()["left_out"]
    assert left_out == [
        {"path": str(tmp_path / "b/me/notes.txt"), "reason": "neither a picture nor a video"}
    ]


def test_a_person_of_unknown_photos_is_made_anew_only_if_named(run, tmp_path):
    people, photos = tmp_path / "people", folder_of(tmp_path, "in/ada", 0)
    untrained().save(people / "ada")
    with pytest.raises(fsh.FshError, match="of which photos is not written down"):
        make(run, photos, people)
    told = Told()
    make(run, photos, people, person=people / "ada", progress=told)
    assert any("not written down; made anew" in line for line in told.lines)


@pytest.mark.parametrize("name", [".hidden", "x" * 220])
def test_a_name_that_a_person_cannot_have_is_refused(tmp_path, name):
    with pytest.raises(fsh.FshError, match="--person people/NAME"):
        default_folder(tmp_path / name, tmp_path)
