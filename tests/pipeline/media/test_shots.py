"""Cuts, cross-fades and flashes are told apart, and from a moving head."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import moving

from fsh.pipeline.media.shots import Shot, ShotDetector, drop_flashes, find_fades, shrink, split_at


def scene(seed: int, count: int) -> list[np.ndarray]:
    """RGB frames (120, 160, 3) of blobs that drift slowly to the right."""
    rng = np.random.default_rng(seed)
    base = cv2.GaussianBlur(rng.integers(0, 255, (120, 400, 3), np.uint8), (0, 0), 9)
    base = cv2.normalize(base, None, 0, 255, cv2.NORM_MINMAX)
    return [base[:, i // 4 : i // 4 + 160] for i in range(count)]


def shots_of(frames: list[np.ndarray], fps: float = 25.0) -> list[Shot]:
    detector = ShotDetector(3.5, 15.0)
    for i, frame in enumerate(frames):
        detector.add_frame(
            i / fps, cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2YUV_I420)
        )
    return detector.shots()


def test_a_cut_is_found_on_its_frame():
    assert shots_of(scene(1, 20) + scene(2, 30)) == [(0, 20), (20, 50)]


def test_cuts_close_to_the_ends_and_to_one_another_are_found():
    frames = scene(1, 1) + scene(2, 20) + scene(3, 6) + scene(4, 20) + scene(5, 1)
    assert shots_of(frames) == [(0, 1), (1, 21), (21, 27), (27, 47), (47, 48)]


def test_a_swaying_portrait_has_no_cut():
    frames = moving(3, size=(320, 320))
    assert shots_of(frames) == [(0, len(frames))]


def test_a_cross_fade_belongs_to_no_shot():
    a, b, length = scene(1, 60), scene(2, 60), 15
    fade = [
        (x * (1 - s) + y * s).astype(np.uint8)
        for x, y, s in zip(a[40:], b[:length], np.linspace(0, 1, length), strict=False)
    ]
    frames = a[:40] + fade + b[length:]
    first, *_, last = shots_of(frames)
    assert 36 <= first.last <= 43
    assert 52 <= last.first <= 59


def test_a_flash_is_no_cut():
    frames = scene(1, 60)
    frames[30] = np.minimum(frames[30].astype(int) + 140, 255).astype(np.uint8)
    frames[31] = np.minimum(frames[31].astype(int) + 70, 255).astype(np.uint8)
    assert shots_of(frames) == [(0, 60)]


def test_a_short_insert_is_two_cuts():
    dark = [frame // 3 for frame in scene(1, 60)]
    frames = dark[:30] + scene(2, 4) + dark[34:]
    thumbs = np.array([cv2.resize(f[:, :, 0], (32, 18)).ravel() for f in frames], np.float32)
    assert drop_flashes([30, 34], thumbs, np.arange(60) / 25) == [30, 34]


def test_no_fade_in_too_few_or_constant_frames():
    assert find_fades(np.zeros((2, 9), np.float32), np.array([0, 0.04])) == []
    assert find_fades(np.zeros((50, 9), np.float32), np.arange(50) / 25) == []
    assert shots_of([]) == []


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10)), max_size=6))
def test_shots_are_apart_and_hold_no_transition(count, found):
    transitions = [(a, min(a + n, count)) for a, n in found if 0 < a < count]
    shots = split_at(count, transitions)
    inside = [frame for shot in shots for frame in range(*shot)]
    fading = {frame for a, b in transitions for frame in range(a, b)}
    assert inside == sorted(set(range(count)) - fading)
    assert not any(shot.first < a < shot.last for shot in shots for a, _ in transitions)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 400), st.integers(1, 400))
def test_shrinking_keeps_a_plain_frame_plain(half_height, half_width):
    frame = np.full((half_height * 3, half_width * 2), 77, np.uint8)
    small = shrink(frame, 192)
    assert (small == 77).all()
    assert small.shape[1] % 4 == 0 and small.shape[0] % 6 == 0
