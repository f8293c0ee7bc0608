"""dlib's landmarks of a real portrait, and the face box."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import detector, dlib_landmarks, portrait, portrait_face, portrait_points
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.faces.landmarks import face_box, usable_boxes
from fsh.schemas.faces.landmarks import CHIN, LEFT_EYE, NOSE_TIP, RIGHT_EYE


def test_points_lie_on_the_face():
    points = portrait_points()
    assert points.shape == (68, 2) and points.dtype == np.float32
    left_eye, right_eye = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
    assert np.abs(left_eye - (203, 101)).max() < 6 and np.abs(right_eye - (247, 100)).max() < 6
    assert points[CHIN, 1] == points[:, 1].max()
    assert points[NOSE_TIP, 1] > left_eye[1]


def test_unusable_boxes_give_nan():
    boxes = np.array(
        [portrait_face().box, [np.nan] * 4, [10, 10, 10.5, 50], [50, 50, 20, 20]], np.float32
    )
    points = dlib_landmarks().landmarks(np.stack([portrait()] * 4), boxes).points
    assert np.array_equal(points[0], portrait_points())
    assert np.isnan(points[1:]).all()
    assert usable_boxes(boxes).tolist() == [True, False, False, False]


def test_no_images_no_points():
    empty = dlib_landmarks().landmarks(np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 4))).points
    assert empty.shape == (0, 68, 2)


def test_a_box_over_the_edge_is_taken():
    near = portrait()[90:, 190:]
    box = portrait_face().box - (190, 90, 190, 90)
    assert dlib_landmarks().landmarks(near[None], box[None].astype(np.float32)).found.all()


def test_the_face_box_is_steadier_than_the_detectors():
    sides, steady = [], []
    for max_side in (420, 460, 500, 540, 580):
        face = detector().detect_scaled(portrait(), max_side)[0]
        sides.append(face.side)
        points = dlib_landmarks().landmarks(portrait()[None], face.box[None]).points[0]
        left, top, right, bottom = face_box(points)
        assert right - left == pytest.approx(bottom - top)
        steady.append(right - left)
    assert np.std(steady) < np.std(sides) / 3
    assert np.mean(steady) == pytest.approx(np.mean(sides), rel=0.1)


@given(
    st.floats(0.2, 5), st.tuples(st.floats(-500, 500), st.floats(-500, 500)), st.integers(0, 10**6)
)
def test_the_face_box_moves_and_grows_with_the_face(scale, move, seed):
    edges = np.random.default_rng(seed).uniform(0, 200, (68, 2))
    before = face_box(edges - 0.5)  # pixel centres lie half a pixel before the edges
    after = face_box(edges * scale + move - 0.5)
    # The box adds the width of one pixel, which does not scale.
    slack = abs(scale - 1) * 2 + 1e-2
    assert np.abs(after - (before * scale + np.tile(move, 2))).max() <= slack


def test_face_boxes_of_many_faces_with_gaps():
    points = np.stack([portrait_points(), np.full((68, 2), np.nan, np.float32)])
    boxes = face_box(points)
    assert boxes.shape == (2, 4) and boxes.dtype == np.float32
    assert np.isfinite(boxes[0]).all() and np.isnan(boxes[1]).all()
