"""From a real video to clips: real codec, real detector, real landmarks."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import moving, write_video

from fsh.pipeline.dataset.config import Analysis
from fsh.pipeline.dataset.cropping import keep_evenly, overlapping
from fsh.pipeline.dataset.span_analysis import (
    even_runs,
    process,
)
from fsh.pipeline.dataset.spans import Span, record_failure
from fsh.pipeline.faces.crop import crop_image
from fsh.pipeline.faces.tracking import Track
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.sample import SampleInfo
from fsh.schemas.tables import CLIPS, read_table

ANALYSIS = Analysis()


def span_of(path, end: float = 60.0) -> Span:
    return Span("v-test", 0.0, end, path.name, "0" * 64)


def run(path, analysis: Analysis = ANALYSIS, end: float = 60.0):
    """Rows and, per clip id, [(info, landmarks, jpegs), …] of a video in its own data folder."""
    data, span = DataFolder(path.parent), span_of(path, end)
    process(path.parent, span, analysis)
    rows = read_table(span.table(data, analysis), CLIPS).to_pylist()
    samples = {}
    for tar in sorted(span.folder(data, analysis).glob("*.tar")):
        with tarfile.open(tar, ignore_zeros=True) as archive:
            files = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
        keys = sorted(name[:-5] for name in files if name.endswith(".json"))
        samples[tar.stem] = [
            (
                SampleInfo.from_json(files[f"{key}.json"]),
                np.load(io.BytesIO(files[f"{key}.landmarks.npy"])),
                [files[n] for n in sorted(files) if n.startswith(key) and n.endswith(".jpg")],
            )
            for key in keys
        ]
    return rows, samples


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Variable frame rate, one person, 3.5 s, a little over 25 frames a second."""
    folder = tmp_path_factory.mktemp("clips")
    uneven = "settb=1/1000,setpts='(N*33+9*mod(N*N,3))/1000/TB'"
    options = ["-vf", uneven, "-fps_mode", "passthrough", "-enc_time_base", "1:1000"]
    path = write_video(folder / "talk.mp4", moving(3.5, fps=30), options=options)
    return path, *run(path)


def test_one_person_one_clip_with_all_its_scores(talk):
    _, rows, samples = talk
    (row,) = rows
    assert row["clip_id"] == "v-test_00000000_00"
    assert row["reason"] is None
    assert row["frames"] == sum(len(jpegs) for _, _, jpegs in samples[row["clip_id"]])
    assert row["samples"] == len(samples[row["clip_id"]]) == 2
    assert row["frames_failed"] == 0
    assert 22 < row["fps"] <= 25.2
    assert len(row["embedding"]) == 128
    assert row["identity_consistency"] > 0.9
    for score in ("face_px", "sharpness", "brightness", "yaw", "frame_difference", "mouth_motion"):
        assert np.isfinite(row[score]), score


def test_the_frame_at_a_stored_time_is_the_frame_of_the_source(talk):
    path, _, samples = talk
    with av.open(str(path)) as container:
        source = {
            round(float(f.pts * f.time_base), 6): f.to_ndarray(format="rgb24")
            for f in container.decode(video=0)
        }
    times = sorted(source)
    for info, _, jpegs in samples["v-test_00000000_00"]:
        assert len(info.times) == len(jpegs) == len(info.boxes)
        for time, jpeg in list(zip(info.times, jpegs, strict=True))[::9]:
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
            window = tuple(int(v) for v in info.crop)
            near = times.index(round(time, 6))
            distance = {
                i: np.abs(crop_image(source[times[i]], window, 256).astype(int) - image).mean()
                for i in range(max(0, near - 2), min(len(times), near + 3))
            }
            assert min(distance, key=distance.get) == near
            assert distance[near] < 4


def test_landmarks_lie_on_the_face(talk):
    _, _, samples = talk
    for info, points, _ in samples["v-test_00000000_00"]:
        assert points.shape == (len(info.times), 68, 2)
        assert points.dtype == np.float32
        assert ((points > 20) & (points < 236)).all()
        left_eye, right_eye = points[:, 36:42].mean(axis=1), points[:, 42:48].mean(axis=1)
        mouth = points[:, 48:68].mean(axis=1)
        assert (right_eye[:, 0] - left_eye[:, 0] > 35).all()
        assert (mouth[:, 1] - left_eye[:, 1] > 30).all()
        # The window stands still, so the swaying face moves in it, and smoothly.
        assert np.abs(np.diff(points[:, 30], axis=0)).max() < 8


def test_the_same_work_gives_the_same_bytes(talk, tmp_path):
    path, rows, _ = talk
    (tmp_path / path.name).write_bytes(path.read_bytes())
    again, _ = run(tmp_path / path.name)
    a, b = (span_of(path).folder(DataFolder(p), ANALYSIS) for p in (path.parent, tmp_path))
    assert sorted(f.name for f in a.iterdir()) == sorted(f.name for f in b.iterdir())
    assert all((b / f.name).read_bytes() == f.read_bytes() for f in a.iterdir())
    assert again == rows


def test_two_people_are_two_clips_and_each_keeps_to_its_own(tmp_path):
    left, right = moving(2.4, size=(320, 320)), moving(2.4, size=(320, 320), mirrored=True)
    # The right one is darker, so that the two can be told apart.
    frames = [np.hstack([a, b // 2]) for a, b in zip(left, right, strict=True)]
    rows, samples = run(write_video(tmp_path / "two.mp4", frames))
    clips = [row for row in rows if not row["reason"]]
    assert len(clips) == 2
    assert len({row["track"] for row in clips}) == 2
    for row in clips:
        boxes = np.array([b for info, _, _ in samples[row["clip_id"]] for b in info.boxes])
        middle = (boxes[:, 0] + boxes[:, 2]) / 2
        assert (middle < 320).all() or (middle > 320).all()
    bright = sorted(row["brightness"] for row in clips)
    assert bright[0] < 0.7 * bright[1]


def test_no_clip_contains_a_cut(tmp_path):
    first, second = moving(1.6), moving(1.6, mirrored=True)
    dark = [frame // 2 for frame in second]
    rows, _ = run(write_video(tmp_path / "cut.mp4", first + dark))
    clips = [row for row in rows if row["samples"]]
    assert len(clips) == 2
    cut_at = 40 / 25
    assert all(row["end"] < cut_at - 0.02 or row["start"] >= cut_at for row in clips)
    assert {row["shot"] for row in clips} == {0, 1}


def test_a_video_without_faces_says_so(tmp_path):
    path = write_video(tmp_path / "none.mp4", [np.full((200, 320, 3), 90, np.uint8)] * 25)
    ((row,), samples) = run(path)
    assert (row["reason"], row["kept"], samples) == ("no_face", False, {})
    assert (row["width"], row["height"]) == (320, 200)


def test_short_and_tiny_faces_are_recorded_but_not_cropped(tmp_path):
    path = write_video(tmp_path / "short.mp4", moving(0.4))
    ((row,), samples) = run(path)
    assert (row["reason"], samples) == ("brief_track", {})
    ((row,), samples) = run(path, replace(ANALYSIS, shortest=0.1, smallest_face=900))
    assert (row["reason"], samples) == ("tiny_face", {})


def test_what_is_no_video_is_an_error_and_is_recorded(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(FshError):
        run(path)
    span, data = span_of(path), DataFolder(tmp_path)
    record_failure(tmp_path, span, ANALYSIS, "unreadable", "not a video")
    (row,) = read_table(span.table(data, ANALYSIS), CLIPS).to_pylist()
    assert (row["reason"], row["error"], row["kept"]) == ("unreadable", "not a video", False)


def test_only_the_span_is_looked_at(tmp_path):
    path = write_video(tmp_path / "long.mp4", moving(3))
    rows, _ = run(path, end=1.5)
    assert rows[0]["end"] < 1.5


def test_the_folder_of_a_span_depends_on_what_decides_its_pixels():
    data, span = (
        DataFolder(Path("d")),
        Span("v-a", 0.0, 5.0, "videos/a.mp4", "0" * 64),
    )
    folders = {
        span.folder(data, ANALYSIS),
        span.folder(data, replace(ANALYSIS, max_fps=12)),
        replace(span, sha256="1" * 64).folder(data, ANALYSIS),
        replace(span, end=6.0).folder(data, ANALYSIS),
    }
    assert len(folders) == 4
    assert replace(span, path="elsewhere.mp4").folder(data, ANALYSIS) in folders


def test_another_version_of_the_analysis_is_another_folder(monkeypatch):
    data, span = DataFolder(Path("d")), Span("v-a", 0.0, 5.0, "videos/a.mp4", "0" * 64)
    before = span.folder(data, ANALYSIS)
    monkeypatch.setattr("fsh.pipeline.dataset.config.ANALYSIS_VERSION", 10**6)
    assert span.folder(data, ANALYSIS) != before


@settings(deadline=None, max_examples=60)
@given(
    st.floats(5, 240),
    st.floats(5, 60),
    st.integers(2, 300),
    st.integers(0, 10**6),
)
def test_kept_frames_are_few_enough_and_even(fps, most, count, seed):
    jitter = np.random.default_rng(seed).uniform(0, 0.2 / fps, count)
    times = np.arange(count) / fps + jitter
    kept = keep_evenly(times, most)
    assert kept[0]
    if np.median(np.diff(times)) * most * 1.02 >= 1:
        assert kept.all()
    else:
        assert kept.sum() <= (times[-1] - times[0] + 0.02 / most) * most + 1
        gaps = np.diff(times[kept])
        assert not len(gaps) or gaps.max() <= 2 / most + 1.5 / fps


def test_halving_the_rate_keeps_every_other_frame():
    times = np.arange(100) / 50
    assert keep_evenly(times, 25).tolist() == [True, False] * 50
    assert keep_evenly(np.arange(100) / 25.0, 25).all()


@given(st.integers(1, 3000), st.integers(1, 64))
def test_runs_cover_everything_evenly(count, most):
    runs = even_runs(count, most)
    sizes = [run.stop - run.start for run in runs]
    assert [i for run in runs for i in range(count)[run]] == list(range(count))
    assert max(sizes) <= most and max(sizes) - min(sizes) <= 1


def test_tracks_that_share_time_are_decoded_together():
    def track(first: int, last: int) -> Track:
        frames = np.arange(first, last + 1)
        return Track(0, 0, frames, np.zeros((len(frames), 4)), (0, 0, 9), 1.0, 1.0)

    groups = overlapping([track(30, 40), track(0, 10), track(10, 20), track(21, 25)])
    assert [[int(t.frames[0]) for t in group] for group in groups] == [[0, 10], [21], [30]]
