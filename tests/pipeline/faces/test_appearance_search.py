"""The first and last frame of every appearance of a face."""

from __future__ import annotations

import numpy as np
import pytest
from square_faces import BoxCorners, SquareDetector

from fsh.pipeline.faces.appearance_search import AppearanceSearch
from fsh.pipeline.faces.search import FaceSearch, counterparts
from fsh.pipeline.faces.tracking import Detection

COUNT = 80


def run(kind, *appearances, count=COUNT, times=None):
    """Search frames in which squares are at (x, first, last); faces found by frame."""
    search = kind(
        SquareDetector(), BoxCorners(), np.ones(4, np.float32), look_every=0.1, search_every=1.0
    )
    times = np.arange(count) / 25 if times is None else times
    for frame, time in enumerate(times):
        luma = np.zeros((300, 640), np.uint8)
        for x, first, last in appearances:
            if first <= frame < last:
                luma[100:200, x : x + 100] = 255
        search.add_frame(luma, frame, time)
    return dict(search.searched())


def places(detections) -> list[int]:
    return sorted(round(float(d.box[0])) for d in detections)


@pytest.mark.parametrize(
    "spans", [[(30, 80)], [(0, 41)], [(0, 78)], [(79, 80)], [(31, 38)], [(5, 30), (37, 62)], []]
)
def test_an_appearance_begins_and_ends_in_its_true_frame(spans):
    found = run(AppearanceSearch, *((100, *span) for span in spans))
    inside = [any(first <= frame < last for first, last in spans) for frame in range(COUNT)]
    assert all(bool(detections) == inside[frame] for frame, detections in found.items())
    for first, last in spans:
        assert {first, last - 1, first - 1, last} & set(range(COUNT - 3)) <= found.keys()


def test_a_variable_rate_changes_nothing_of_that():
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.09, COUNT))
    found = run(AppearanceSearch, (100, 33, 61), times=times)
    assert {32, 33, 60, 61} <= found.keys()
    assert all(bool(d) == (33 <= frame < 61) for frame, d in found.items())


def test_a_second_face_is_found_from_its_first_frame_though_the_first_stays():
    found = run(AppearanceSearch, (100, 0, 80), (400, 30, 60))
    for frame, detections in found.items():
        left = [d for d in places(detections) if d < 250]
        assert left == [places(found[0])[0]]
        assert len(detections) == 1 + (30 <= frame < 60), frame
    assert {29, 30, 59, 60} <= found.keys()


def test_a_face_that_stays_is_searched_as_before():
    exact, plain = (run(kind, (100, 0, 80)) for kind in (AppearanceSearch, FaceSearch))
    assert exact.keys() == plain.keys()
    assert all((exact[f][0].box == plain[f][0].box).all() for f in plain)


def test_counterparts_are_the_nearest_pairs():
    def faces(*xs):
        boxes = [np.array([x, 0, x + 100, 100], np.float32) for x in xs]
        return [Detection(0, 0.0, box, 1.0, np.zeros(256, np.float32)) for box in boxes]

    assert counterparts(faces(0, 150), faces(160)) == {1: 0}
    assert counterparts(faces(0, 150), faces(140, 10)) == {0: 1, 1: 0}
    assert counterparts(faces(0), faces(500)) == counterparts([], faces(0)) == {}
