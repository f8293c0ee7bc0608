"""Landmark groups and the geometry on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.schemas.faces import landmarks
from fsh.schemas.faces.landmarks import apply, found, inverse, mouth_opening, similarity


def test_the_groups_cover_every_landmark_once():
    groups = (
        landmarks.JAW,
        landmarks.BROWS,
        landmarks.NOSE_BRIDGE,
        landmarks.NOSTRILS,
        landmarks.EYES,
        landmarks.OUTER_LIP,
        landmarks.INNER_LIP,
    )
    assert np.concatenate(groups).tolist() == list(range(landmarks.POINTS))


def test_the_opening_of_a_mouth():
    points = np.zeros((3, 68, 2))
    points[:, 54, 0] = 40
    for step, gap in enumerate((0, 8, 20)):
        points[step, [65, 66, 67], 1] = gap
    assert mouth_opening(points).tolist() == pytest.approx([0, 0.2, 0.5])
    assert np.isfinite(mouth_opening(np.zeros((1, 68, 2)))).all()


def test_faces_with_a_lost_landmark_are_not_found():
    points = np.zeros((3, 68, 2), np.float32)
    points[1, 7, 0] = np.nan
    assert found(points).tolist() == [True, False, True]


@given(st.floats(0.1, 9), st.floats(-3, 3), st.integers(0, 10**6))
def test_a_similarity_is_recovered_and_undone(scale, angle, seed):
    points = np.random.default_rng(seed).normal(0, 50, (5, 2))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    transform = np.array([[cos, -sin, 7.0], [sin, cos, -3.0]])
    fitted = similarity(points, apply(transform, points))
    np.testing.assert_allclose(fitted, transform, atol=1e-6)
    np.testing.assert_allclose(apply(inverse(fitted), apply(fitted, points)), points, atol=1e-6)
