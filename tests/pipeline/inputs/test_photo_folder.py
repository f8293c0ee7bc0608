"""Which files of a folder are photos; all others are named with the reason."""

from __future__ import annotations

import os

import pytest
from faces_helpers import portrait
from PIL import Image

from fsh.pipeline.inputs.input_name import input_name
from fsh.pipeline.inputs.photo_folder import find_photos
from fsh.schemas.errors import FshError


def test_files_are_taken_by_content_and_the_others_are_named(tmp_path):
    image = Image.fromarray(portrait()[:64, :64])
    for name, kind in (("a.jpg", "PNG"), ("b", "JPEG"), ("c.txt", "WEBP"), ("d.data", "TIFF")):
        image.resize((32 + ord(name[0]), 64)).save(tmp_path / name, format=kind)
    (tmp_path / "notes.txt").write_text("Dear diary")
    (tmp_path / "broken.jpg").write_text("no picture")  # whoever reads it says so
    (tmp_path / ".hidden.jpg").write_bytes((tmp_path / "b").read_bytes())
    (tmp_path / "more").mkdir()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    found = find_photos(tmp_path)
    assert [p.name for p in found.paths] == ["a.jpg", "b", "broken.jpg", "c.txt", "d.data"]
    assert {photo.path.name: photo.reason for photo in found.left_out} == {
        ".hidden.jpg": "a hidden file",
        "gone.jpg": "a link that leads nowhere",
        "more": "a folder, which is not looked into",
        "notes.txt": "neither a picture nor a video",
        "pipe.jpg": "no file, but a pipe, a socket or a device",
    }


def test_the_same_file_eight_times_is_one_photo(tmp_path):
    for i in range(8):
        Image.fromarray(portrait()).save(tmp_path / f"{i}.png")
    found = find_photos(tmp_path)
    assert [p.name for p in found.paths] == ["0.png"]
    assert [photo.reason for photo in found.left_out] == ["the same file as 0.png"] * 7
    assert len(found.sha256()) == 1


def test_no_photos_says_what_is_there_instead(tmp_path):
    (tmp_path / "more").mkdir()
    with pytest.raises(FshError, match=r"no photos .*more: a folder, which is not looked into"):
        find_photos(tmp_path)
    with pytest.raises(FshError, match="no such folder or file"):
        find_photos(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FshError, match="neither a file nor a folder"):
        find_photos(tmp_path / "pipe")


def test_a_name_keeps_all_of_a_folders_name(tmp_path, monkeypatch):
    names = ["anna.smith", "v1.mp4", "Zoë  [x]", "-x", "a.b.c"]
    for name in names:
        (tmp_path / name).mkdir()
        assert input_name(tmp_path / name) == name
    (tmp_path / "anna.jones.jpg").touch()
    assert input_name(tmp_path / "anna.jones.jpg") == "anna.jones"
    assert input_name(tmp_path / "talk.v2.MP4") == "talk.v2"
    assert input_name(tmp_path / "anna.jones") == "anna.jones"
    monkeypatch.chdir(tmp_path / "anna.smith")
    assert input_name(type(tmp_path)(".")) == "anna.smith"
    assert input_name(type(tmp_path)("../a.b.c")) == "a.b.c"
