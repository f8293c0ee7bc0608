"""Tracks hold one face each when faces cross, hide or leave; heads stay inside their windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.pipeline.faces.tracking import (
    Detection,
    SearchedFrame,
    fixed_window,
    head_inside,
    interpolate_boxes,
    link_detections,
    overlaps,
    split_track,
)
from fsh.pipeline.media.shots import Shot
from fsh.schemas.faces.spec import FaceSpec

STEP = 5  # frames between searched frames
WHOLE = [Shot(0, 10_000)]


def appearance(person: int) -> np.ndarray:
    values = np.random.default_rng(person).normal(size=256).astype(np.float32)
    return values / np.linalg.norm(values)


def detection(k: int, x: float, person: int = 0, side: float = 100) -> Detection:
    """A face at (x, 200) in the k-th searched frame."""
    box = np.array([x, 200, x + side, 200 + side], np.float32)
    return Detection(k * STEP, k * STEP / 25, box, 1.0, appearance(person))


def frame(k: int, *detections: Detection) -> SearchedFrame:
    """The k-th searched frame."""
    return SearchedFrame(k * STEP, [*detections])


def people(track: list[Detection]) -> set[int]:
    return {p for p in range(4) for d in track if np.array_equal(d.appearance, appearance(p))}


def test_two_people_side_by_side_are_two_tracks():
    searched = [frame(k, detection(k, 100, 0), detection(k, 400, 1)) for k in range(20)]
    found = link_detections(searched, WHOLE, lost=0.5)
    assert [(shot, len(track), people(track)) for shot, track in found] == [
        (0, 20, {0}),
        (0, 20, {1}),
    ]


@pytest.mark.parametrize("speed", [6, 12, 25, 50])
@pytest.mark.parametrize("hidden", [False, True])
def test_tracks_do_not_swap_when_people_cross(speed, hidden):
    searched = []
    for k in range(60):
        a = detection(k, 100 + speed * k, 0)
        b = detection(k, 100 + speed * (60 - k), 1)
        apart = abs(a.box[0] - b.box[0]) > 60
        searched.append(frame(k, a, b) if apart or not hidden else frame(k, a))
    tracks = link_detections(searched, WHOLE, lost=0.5)
    assert all(len(people(track)) == 1 for _, track in tracks)
    assert sum(len(track) for _, track in tracks) == sum(len(found) for _, found in searched)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_every_detection_is_in_one_track_and_tracks_hold_one_person(seed):
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 600, 3)
    searched = []
    for k in range(30):
        places = places + rng.uniform(-40, 40, 3)
        present = [p for p in range(3) if rng.random() < 0.85]
        searched.append(frame(k, *(detection(k, places[p], p) for p in present)))
    tracks = link_detections(searched, [Shot(0, 70), Shot(72, 200)], lost=0.5)
    inside = [d for number, found in searched for d in found if number not in (70, 71)]
    assert sum(len(track) for _, track in tracks) == len(inside)
    for shot, track in tracks:
        assert len(people(track)) == 1
        frames = [d.frame for d in track]
        assert frames == sorted(set(frames))
        assert all((number < 70) == (shot == 0) for number in frames)
        assert all(b - a <= 0.5 * 25 for a, b in pairwise(frames))


def test_a_face_lost_for_half_a_second_is_bridged_and_not_for_longer():
    def tracks(missing: int) -> int:
        ks = [*range(5), *range(5 + missing, 12)]
        searched = [frame(k, *[detection(k, 100)] * (k in ks)) for k in range(12)]
        return len(link_detections(searched, WHOLE, lost=0.5))

    assert tracks(1) == 1  # 0.4 s between detections
    assert tracks(2) == 2  # 0.6 s


def test_a_cut_ends_a_track_of_the_same_face():
    searched = [frame(k, detection(k, 100)) for k in range(20)]
    found = link_detections(searched, [Shot(0, 48), Shot(48, 100)], lost=0.5)
    assert [(shot, track[0].frame, track[-1].frame) for shot, track in found] == [
        (0, 0, 45),
        (1, 50, 95),
    ]


def test_another_person_in_the_same_place_is_another_track():
    searched = [frame(k, detection(k, 100, 0 if k < 10 else 1)) for k in range(20)]
    assert [people(track) for _, track in link_detections(searched, WHOLE, lost=0.5)] == [{0}, {1}]


def test_boxes_are_interpolated_between_detections():
    frames, boxes = interpolate_boxes([detection(0, 100), detection(1, 110)])
    assert frames.tolist() == list(range(6))
    assert boxes[:, 0] == pytest.approx([100, 102, 104, 106, 108, 110])
    assert boxes.dtype == np.float32


def test_one_wrong_box_does_not_shake_the_track():
    _, boxes = interpolate_boxes([detection(k, 160 if k == 4 else 100) for k in range(9)])
    assert np.ptp(boxes[:, 0]) == 0


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=60),
    st.floats(40, 400),
    st.floats(1, 12),
)
def test_heads_stay_inside_and_no_frame_is_lost(steps, side, longest):
    xs = np.cumsum([0, *steps])
    detections = [detection(k, x, side=side) for k, x in enumerate(xs)]
    times = np.arange(len(xs) * STEP) / 25
    spec = FaceSpec()
    tracks = split_track(3, 1, detections, times, spec, longest=longest, look_every=0.2)
    frames = np.concatenate([track.frames for track in tracks])
    assert frames.tolist() == list(range((len(xs) - 1) * STEP + 1))
    for track in tracks:
        assert head_inside(track.boxes, track.window).all() or len(track.frames) == 1
        assert times[track.frames[-1]] - times[track.frames[0]] <= longest + 1e-6
        assert 0 <= track.detected <= 1
        assert track.drift(spec) < 1
        assert (track.number, track.shot) == (3, 1)


def test_a_head_that_comes_closer_gets_a_new_window():
    boxes = np.array([[0, 0, s, s] for s in np.linspace(100, 150, 20)], np.float32)
    assert fixed_window(boxes, FaceSpec()) is None
    assert fixed_window(boxes[:8], FaceSpec()) is not None


@given(st.lists(st.tuples(*[st.floats(0, 99, width=32)] * 4), min_size=1, max_size=5))
def test_overlaps(corners):
    boxes = np.array([[x, y, x + 1 + w, y + 1 + h] for x, y, w, h in corners], np.float32)
    table = overlaps(boxes, boxes)
    assert np.allclose(np.diag(table), 1, atol=1e-4)
    assert np.allclose(table, table.T, atol=1e-5)
    assert (table >= 0).all() and (table <= 1 + 1e-5).all()
