"""Tracks: one face each, whatever crosses, hides or leaves; heads stay inside their windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.pipeline.faces.search import Looker, moved_far, picture_of
from fsh.pipeline.faces.tracking import (
    Sighting,
    boxes_between,
    head_inside,
    link,
    overlaps,
    settle,
    split,
)
from fsh.pipeline.media.shots import Shot
from fsh.schemas.spec import FaceSpec

STEP = 5  # frames between looks
WHOLE = [Shot(0, 10_000)]


def look_of(person: int) -> np.ndarray:
    values = np.random.default_rng(person).normal(size=256).astype(np.float32)
    return values / np.linalg.norm(values)


def seen(k: int, x: float, person: int = 0, side: float = 100) -> Sighting:
    """A face in look number k, at (x, 200)."""
    box = np.array([x, 200, x + side, 200 + side], np.float32)
    return Sighting(k * STEP, k * STEP / 25, box, 1.0, look_of(person))


def people(track: list[Sighting]) -> set[int]:
    return {p for p in range(4) for s in track if np.array_equal(s.look, look_of(p))}


def test_two_people_side_by_side_are_two_tracks():
    looks = [(k * STEP, [seen(k, 100, 0), seen(k, 400, 1)]) for k in range(20)]
    found = link(looks, WHOLE, lost=0.5)
    assert [(shot, len(track), people(track)) for shot, track in found] == [
        (0, 20, {0}),
        (0, 20, {1}),
    ]


@pytest.mark.parametrize("speed", [6, 12, 25, 50])
@pytest.mark.parametrize("hidden", [False, True])
def test_ids_do_not_jump_when_people_cross(speed, hidden):
    looks = []
    for k in range(60):
        a, b = seen(k, 100 + speed * k, 0), seen(k, 100 + speed * (60 - k), 1)
        apart = abs(a.box[0] - b.box[0]) > 60
        looks.append((k * STEP, [a, b] if apart or not hidden else [a]))
    tracks = link(looks, WHOLE, lost=0.5)
    assert all(len(people(track)) == 1 for _, track in tracks)
    assert sum(len(track) for _, track in tracks) == sum(len(s) for _, s in looks)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_every_sighting_is_in_one_track_and_tracks_hold_one_person(seed):
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 600, 3)
    looks = []
    for k in range(30):
        places = places + rng.uniform(-40, 40, 3)
        present = [p for p in range(3) if rng.random() < 0.85]
        looks.append((k * STEP, [seen(k, places[p], p) for p in present]))
    tracks = link(looks, [Shot(0, 70), Shot(72, 200)], lost=0.5)
    inside = [s for frame, found in looks for s in found if frame not in (70, 71)]
    assert sum(len(track) for _, track in tracks) == len(inside)
    for shot, track in tracks:
        assert len(people(track)) == 1
        frames = [s.frame for s in track]
        assert frames == sorted(set(frames))
        assert all((frame < 70) == (shot == 0) for frame in frames)
        assert all(b - a <= 0.5 * 25 for a, b in pairwise(frames))


def test_a_face_lost_for_half_a_second_is_bridged_and_not_for_longer():
    def tracks(missing: int) -> int:
        ks = [*range(5), *range(5 + missing, 12)]
        looks = [(k * STEP, [seen(k, 100)] if k in ks else []) for k in range(12)]
        return len(link(looks, WHOLE, lost=0.5))

    assert tracks(1) == 1  # 0.4 s between sightings
    assert tracks(2) == 2  # 0.6 s


def test_a_cut_ends_a_track_of_the_same_face():
    looks = [(k * STEP, [seen(k, 100)]) for k in range(20)]
    found = link(looks, [Shot(0, 48), Shot(48, 100)], lost=0.5)
    assert [(shot, track[0].frame, track[-1].frame) for shot, track in found] == [
        (0, 0, 45),
        (1, 50, 95),
    ]


def test_another_person_in_the_same_place_is_another_track():
    looks = [(k * STEP, [seen(k, 100, 0 if k < 10 else 1)]) for k in range(20)]
    assert [people(track) for _, track in link(looks, WHOLE, lost=0.5)] == [{0}, {1}]


def test_boxes_run_straight_between_sightings():
    frames, boxes = boxes_between([seen(0, 100), seen(1, 110)])
    assert frames.tolist() == list(range(6))
    assert boxes[:, 0] == pytest.approx([100, 102, 104, 106, 108, 110])
    assert boxes.dtype == np.float32


def test_one_wrong_box_does_not_shake_the_track():
    _, boxes = boxes_between([seen(k, 160 if k == 4 else 100) for k in range(9)])
    assert np.ptp(boxes[:, 0]) == 0


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=60),
    st.floats(40, 400),
    st.floats(1, 12),
)
def test_heads_stay_inside_and_no_frame_is_lost(steps, side, longest):
    xs = np.cumsum([0, *steps])
    sightings = [seen(k, x, side=side) for k, x in enumerate(xs)]
    times = np.arange(len(xs) * STEP) / 25
    spec = FaceSpec()
    tracks = split(3, 1, sightings, times, spec, longest=longest, look_every=0.2)
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
    assert settle(boxes, FaceSpec()) is None
    assert settle(boxes[:8], FaceSpec()) is not None


@given(st.lists(st.tuples(*[st.floats(0, 99, width=32)] * 4), min_size=1, max_size=5))
def test_overlaps(corners):
    boxes = np.array([[x, y, x + 1 + w, y + 1 + h] for x, y, w, h in corners], np.float32)
    table = overlaps(boxes, boxes)
    assert np.allclose(np.diag(table), 1, atol=1e-4)
    assert np.allclose(table, table.T, atol=1e-5)
    assert (table >= 0).all() and (table <= 1 + 1e-5).all()


def test_only_a_face_that_is_still_there_can_have_moved_far():
    assert not moved_far([seen(0, 100)], [seen(1, 110)])
    assert moved_far([seen(0, 100)], [seen(1, 160)])
    assert not moved_far([seen(0, 100)], [seen(1, 500)])
    assert not moved_far([seen(0, 100)], [])


def test_a_picture_of_a_face_does_not_depend_on_light():
    luma = np.random.default_rng(0).integers(0, 120, (90, 90), np.uint8)
    box = np.array([10, 10, 74, 74], np.float32)
    assert picture_of(luma, box) @ picture_of(luma * 2, box) > 0.99
    assert picture_of(luma, np.array([200, 200, 264, 264], np.float32)).shape == (256,)


class EveryLook:
    """A detector that counts the pixels it is shown and finds a bright square of 100 pixels."""

    def __init__(self) -> None:
        self.pixels: list[int] = []

    def detect(self, image: np.ndarray):
        from fsh.pipeline.faces.detection import Face

        self.pixels.append(image.size)
        ys, xs = np.nonzero(image > 128)
        if not len(xs):
            return []
        box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
        return [Face(box, 1.0)]


class BoxCorners:
    """Landmarks that fill the box they are given."""

    name = "corners"

    def landmarks(self, images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        shares = np.random.default_rng(0).permutation(68 * 2).reshape(68, 2) / 135
        return (boxes[:, None, :2] + shares * (boxes[:, None, 2:] - boxes[:, None, :2])).astype(
            np.float32
        )


def test_known_faces_are_looked_for_nearby_and_fast_ones_more_often():
    detector = EveryLook()
    scale = np.ones(4, np.float32)
    looker = Looker(detector, BoxCorners(), scale, look_every=0.2, search_every=1.0)
    for frame in range(50):
        x = 100 if frame < 30 else 100 + (frame - 30) * 16
        luma = np.zeros((400, 640), np.uint8)
        luma[100:200, x : x + 100] = 255
        looker.see(luma, frame, frame / 25)
    looks = looker.looks()
    assert [frame for frame, _ in looks if frame <= 30] == [0, 5, 10, 15, 20, 25, 30]
    assert len([frame for frame, _ in looks if frame > 30]) > 4
    left = {f: s[0].box[[0, 2]].mean() - 50 for f, s in looks}
    assert all(abs(x - (100 if f < 30 else 100 + (f - 30) * 16)) < 4 for f, x in left.items())
    assert sum(size == 400 * 640 for size in detector.pixels) <= 6
