"""The contact sheet: real counts, a page that stands alone, landmarks where they belong."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import simplejpeg
from damage import zero_frames

from fsh.pipeline.dataset.pages.clip_pictures import ClipPlace, film_strip, stored_samples
from fsh.pipeline.dataset.pages.contact_sheet import make_page, summary
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.schemas.shards.sample import sample_members
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.shards.tar import write_members
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import to_table, write_clips
from fsh.schemas.tables.records import Clip, RejectReason


@pytest.fixture
def data(tmp_path):
    """One kept clip of two samples in a shard, and one reject."""
    folder = DataFolder(tmp_path / "data")
    shard = folder.shard("train", 0)
    shard.parent.mkdir(parents=True)
    spec = FaceSpec(size=64)
    _, jpeg = cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))
    info = SampleInfo("v_00000000_00", "v", "a<b>", 25.0, [0.0, 0.04], [], [0, 0, 64], spec)
    points = np.full((2, 68, 2), 31.5, np.float32)
    with shard.open("wb") as file:
        for index in range(2):
            key = f"v_00000000_00_{index:04d}"
            write_members(file, sample_members(key, info, points, [jpeg.tobytes()] * 2), end=False)
        size = file.tell()
        write_members(file, [], end=True)
    kept = Clip(
        clip_id="v_00000000_00",
        video_id="v",
        identity="a<b>",
        kept=True,
        split="train",
        shard="shards/train/fsh-train-000000.tar",
        offset=0,
        bytes=size,
        frames=4,
        samples=2,
        start=0.0,
        end=0.12,
        face_px=50.0,
        yaw=3.0,
        sharpness=20.0,
    )
    rejected = Clip(video_id="w", reason=RejectReason.NO_FACE)
    write_clips([kept, rejected], folder.clips)
    return folder


def test_the_page_shows_the_clip_and_names_the_reject(data, tmp_path):
    page = tmp_path / "page.html"
    counts = make_page(data, page, Silent())
    text = page.read_text()
    assert counts["clips_kept"] == 1 and counts["clips_rejected"] == {"no_face": 1}
    assert counts["splits"]["train"] == {
        "clips": 1,
        "identities": 1,
        "samples": 2,
        "frames": 4,
        "seconds": 0,
    }
    found = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    pictures = re.search(r'id="strips">(.*?)</script>', text)[1]
    at, size, dots, *times = found["strips"]["v_00000000_00"]
    strip = simplejpeg.decode_jpeg(base64.b64decode(pictures[at : at + size]), "RGB")
    assert strip.shape == (96, 4 * 96, 3) and len(times) == 4
    points = base64.b64decode(pictures[at + size : at + size + dots])
    assert points == bytes([round(255 * 32 / 64)]) * (4 * 68 * 2)
    assert found["columns"]["identity"] == ["a<b>", None]
    assert "a<b>" not in text  # a label is never markup
    assert found["columns"]["fixed"] == ["", "no_face"] and "://" not in text


def test_a_missing_shard_leaves_the_clip_without_pictures(data, tmp_path):
    data.shard("train", 0).unlink()
    make_page(data, tmp_path / "page.html", Silent())
    assert "v_00000000_00" in (tmp_path / "page.html").read_text()


def test_no_clips_is_a_clear_error(tmp_path):
    with pytest.raises(FshError, match="run `fsh shard` first"):
        make_page(DataFolder(tmp_path), tmp_path / "page.html", Silent())


def test_an_empty_table_has_zero_counts():
    assert summary(to_table([], CLIPS))["clips_kept"] == 0


def test_a_clip_that_was_moved_or_is_gone_is_told(data):
    place = ClipPlace("v_00000000_00", "shards/train/fsh-train-000000.tar", 0, 512)
    with pytest.raises(FshError, match=r"cut short|not where the table says"):
        film_strip(stored_samples(data, place), 2)
    size = data.shard("train", 0).stat().st_size - 1024
    with pytest.raises(FshError, match="not where the table says"):
        stored_samples(data, replace(place, clip_id="v_00000001_00", bytes=size))
    with pytest.raises(FshError, match="is in no shard"):
        stored_samples(data, ClipPlace("v_00000000_00"))


def test_frames_that_cannot_be_decoded_are_counted(data, tmp_path):
    zero_frames(data.shard("train", 0), frame=0)
    counts = make_page(data, tmp_path / "page.html", Silent())
    assert counts["damaged"]["frames"] == 2 and counts["damaged"]["clips"] == 0
