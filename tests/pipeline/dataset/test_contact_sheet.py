"""The contact sheet: real counts, a page that stands alone, landmarks where they belong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fsh.pipeline.dataset.contact_sheet import make_page, mark_landmarks, summary
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.schemas.records import Clip, RejectReason
from fsh.schemas.sample import sample_members
from fsh.schemas.sample_info import SampleInfo
from fsh.schemas.spec import FaceSpec
from fsh.schemas.tables import write_clips
from fsh.schemas.tar import write_members


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
    assert text.count("data:image/jpeg;base64,") == 2
    assert "a&lt;b&gt;" in text and "a<b>" not in text  # a label is never markup
    assert "no_face" in text and "http" not in text.replace("http-equiv", "")


def test_a_missing_shard_leaves_the_clip_without_pictures(data, tmp_path):
    data.shard("train", 0).unlink()
    make_page(data, tmp_path / "page.html", Silent())
    assert "v_00000000_00" in (tmp_path / "page.html").read_text()


def test_no_clips_is_a_clear_error(tmp_path):
    with pytest.raises(FshError, match="run `fsh shard` first"):
        make_page(DataFolder(tmp_path), tmp_path / "page.html", Silent())


def test_an_empty_table_has_zero_counts():
    assert summary([])["clips_kept"] == 0


def test_landmarks_are_drawn_where_they_are():
    points = np.full((68, 2), np.nan, np.float32)
    points[0] = (95.5, 31.5)
    drawn = mark_landmarks(np.zeros((128, 128, 3), np.uint8), points)
    y, x = np.argwhere(drawn[..., 1] > 100).mean(axis=0)
    assert abs(x - 95.5) <= 0.6 and abs(y - 31.5) <= 0.6
