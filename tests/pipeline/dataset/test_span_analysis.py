"""From a real video to clips: real codec, real detector, real landmarks."""

from __future__ import annotations

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import moving, write_video

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.analysis import analyze_span
from fsh.pipeline.dataset.spans.clip_storage import even_runs
from fsh.pipeline.dataset.spans.cropping import keep_evenly, overlapping
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.faces.crop import CropWindow, crop_image, real_window
from fsh.pipeline.faces.tracking import Track
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample import samples_in
from fsh.schemas.tables.parquet import read_clips

ANALYSIS = AnalysisConfig()


def span_of(path, end: float = 60.0) -> Span:
    return Span("v-test", 0.0, end, path.name, "0" * 64)


def run(path, analysis: AnalysisConfig = ANALYSIS, end: float = 60.0):
    """Clips and, per clip id, [(info, landmarks, jpegs), …] of a video in its own data folder."""
    data, span = DataFolder(path.parent), span_of(path, end)
    analyze_span(data, span, analysis)
    folder = span.folder(data, analysis)
    samples = {
        tar.stem: [
            (sample.info, sample.landmarks, [sample.frame(i) for i in range(sample.frames)])
            for sample in samples_in(tar.read_bytes(), tar, closed=False)
        ]
        for tar in sorted(folder.root.glob("*.tar"))
    }
    return read_clips(folder.clips), samples


def tracks(clips):
    """The rows of face tracks; the others stand for stretches without one."""
    return [clip for clip in clips if clip.clip_id]


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Variable frame rate, one person, 3.5 s, a little over 25 frames a second."""
    folder = tmp_path_factory.mktemp("clips")
    uneven = "settb=1/1000,setpts='(N*33+9*mod(N*N,3))/1000/TB'"
    options = ["-vf", uneven, "-fps_mode", "passthrough", "-enc_time_base", "1:1000"]
    path = write_video(folder / "talk.mp4", moving(3.5, fps=30), options=options)
    return path, *run(path)


def test_one_person_one_clip_with_all_its_scores(talk):
    _, clips, samples = talk
    (clip,) = tracks(clips)
    assert clip.clip_id == "v-test_00000000_00"
    assert clip.reason is None
    assert clip.frames == sum(len(jpegs) for _, _, jpegs in samples[clip.clip_id])
    assert clip.samples == len(samples[clip.clip_id]) == 2
    assert clip.frames_failed == 0
    assert 22 < clip.fps <= 25.2
    assert len(clip.embedding) == 128
    assert clip.identity_consistency > 0.9
    for score in ("face_px", "sharpness", "brightness", "yaw", "frame_difference", "mouth_motion"):
        assert np.isfinite(getattr(clip, score)), score


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
            window = CropWindow(*(int(v) for v in info.crop))
            height, width = source[times[0]].shape[:2]
            wanted = real_window(window, (width, height), 256)
            np.testing.assert_allclose(info.real, wanted, atol=1e-3)
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
    path, clips, _ = talk
    (tmp_path / path.name).write_bytes(path.read_bytes())
    again, _ = run(tmp_path / path.name)
    a, b = (span_of(path).folder(DataFolder(p), ANALYSIS) for p in (path.parent, tmp_path))
    assert sorted(f.name for f in a.root.iterdir()) == sorted(f.name for f in b.root.iterdir())
    assert all((b.root / f.name).read_bytes() == f.read_bytes() for f in a.root.iterdir())
    assert again == clips


def test_two_people_are_two_clips_and_each_keeps_to_its_own(tmp_path):
    left, right = moving(2.4, size=(320, 320)), moving(2.4, size=(320, 320), mirrored=True)
    # The right one is darker, so that the two can be told apart.
    frames = [np.hstack([a, b // 2]) for a, b in zip(left, right, strict=True)]
    clips, samples = run(write_video(tmp_path / "two.mp4", frames))
    clips = [clip for clip in clips if not clip.reason]
    assert len(clips) == 2
    assert len({clip.track for clip in clips}) == 2
    for clip in clips:
        boxes = np.array([b for info, _, _ in samples[clip.clip_id] for b in info.boxes])
        middle = (boxes[:, 0] + boxes[:, 2]) / 2
        assert (middle < 320).all() or (middle > 320).all()
    bright = sorted(clip.brightness for clip in clips)
    assert bright[0] < 0.7 * bright[1]


def test_no_clip_contains_a_cut(tmp_path):
    first, second = moving(1.6), moving(1.6, mirrored=True)
    dark = [frame // 2 for frame in second]
    clips, _ = run(write_video(tmp_path / "cut.mp4", first + dark))
    clips = [clip for clip in clips if clip.samples]
    assert len(clips) == 2
    cut_at = 40 / 25
    assert all(clip.end < cut_at - 0.02 or clip.start >= cut_at for clip in clips)
    assert {clip.shot for clip in clips} == {0, 1}


def test_a_video_without_faces_says_so(tmp_path):
    path = write_video(tmp_path / "none.mp4", [np.full((200, 320, 3), 90, np.uint8)] * 25)
    ((clip, after), samples) = run(path)
    assert (clip.reason, clip.kept, samples) == ("no_face", False, {})
    assert (clip.width, clip.height) == (320, 200)
    assert (after.reason, after.start) == ("no_picture", clip.end)


def test_short_and_tiny_faces_are_recorded_but_not_cropped(tmp_path):
    path = write_video(tmp_path / "short.mp4", moving(0.4))
    clips, samples = run(path)
    assert ([clip.reason for clip in tracks(clips)], samples) == (["brief_track"], {})
    clips, samples = run(path, replace(ANALYSIS, shortest=0.1, smallest_face=900))
    assert ([clip.reason for clip in tracks(clips)], samples) == (["tiny_face"], {})


def test_what_is_no_video_is_an_error(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(FshError):
        run(path)


def test_only_the_span_is_analyzed(tmp_path):
    path = write_video(tmp_path / "long.mp4", moving(3))
    clips, _ = run(path, end=1.5)
    assert clips[0].end < 1.5


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
