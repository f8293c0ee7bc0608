"""Which frames of a video, and which parts of them, are searched for faces."""

from __future__ import annotations

import numpy as np
from square_faces import BoxCorners, SquareDetector

from fsh.pipeline.faces.search import FaceSearch, appearance_of, moved_far
from fsh.pipeline.faces.tracking import Detection


def detection(x: float) -> Detection:
    """A face of 100 pixels at (x, 200)."""
    box = np.array([x, 200, x + 100, 300], np.float32)
    return Detection(0, 0.0, box, 1.0, np.zeros(256, np.float32))


def test_only_a_face_that_is_in_both_frames_can_have_moved_far():
    assert not moved_far([detection(100)], [detection(110)])
    assert moved_far([detection(100)], [detection(160)])
    assert not moved_far([detection(100)], [detection(500)])
    assert not moved_far([detection(100)], [])


def test_appearance_does_not_depend_on_brightness():
    luma = np.random.default_rng(0).integers(0, 120, (90, 90), np.uint8)
    box = np.array([10, 10, 74, 74], np.float32)
    assert appearance_of(luma, box) @ appearance_of(luma * 2, box) > 0.99
    assert appearance_of(luma, np.array([200, 200, 264, 264], np.float32)).shape == (256,)


def test_known_faces_are_searched_nearby_and_fast_ones_more_often():
    detector = SquareDetector()
    scale = np.ones(4, np.float32)
    search = FaceSearch(detector, BoxCorners(), scale, look_every=0.2, search_every=1.0)
    for frame in range(50):
        x = 100 if frame < 30 else 100 + (frame - 30) * 16
        luma = np.zeros((400, 640), np.uint8)
        luma[100:200, x : x + 100] = 255
        search.add_frame(luma, frame, frame / 25)
    searched = search.searched()
    assert [frame for frame, _ in searched if frame <= 30] == [0, 5, 10, 15, 20, 25, 30]
    assert len([frame for frame, _ in searched if frame > 30]) > 4
    left = {f: s[0].box[[0, 2]].mean() - 50 for f, s in searched}
    assert all(abs(x - (100 if f < 30 else 100 + (f - 30) * 16)) < 4 for f, x in left.items())
    assert sum(size == 400 * 640 for size in detector.pixels) <= 6
