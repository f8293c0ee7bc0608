"""The mesh's tables and its placement: mirror, mean head, rotation, scale and shift."""

from __future__ import annotations

import numpy as np
import pytest

from fsh.schemas.mesh import (
    MEAN_RIGID,
    MESH_EYE_CORNERS,
    MESH_MIRROR,
    MESH_POINTS,
    PLACES,
    RIGID_MESH,
    landmarks_of_mesh,
    place_mesh,
    place_points,
)


def turned(angle: float) -> np.ndarray:
    """The rotation (3, 3) about the vertical axis, radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def test_the_mirror_undoes_itself_and_the_mean_head_is_its_own():
    assert np.array_equal(MESH_MIRROR[MESH_MIRROR], np.arange(MESH_POINTS))
    place = {int(point): i for i, point in enumerate(RIGID_MESH)}
    other = MEAN_RIGID[[place[int(point)] for point in MESH_MIRROR[RIGID_MESH]]]
    assert np.array_equal(other * (-1, 1, 1), MEAN_RIGID)
    left, right = MESH_EYE_CORNERS
    assert np.array_equal(MEAN_RIGID[place[right]] - MEAN_RIGID[place[left]], [1, 0, 0])


def test_the_68_are_points_of_the_mesh():
    mesh = np.random.default_rng(0).random((2, MESH_POINTS, 3), np.float32)
    assert np.array_equal(landmarks_of_mesh(mesh), mesh[:, PLACES, :2])


@pytest.mark.parametrize("angle", [0.0, 0.5, -1.2])
def test_a_placement_is_found_and_undone(angle):
    mesh = np.random.default_rng(1).normal(size=(MESH_POINTS, 3))
    mesh[RIGID_MESH] = MEAN_RIGID
    shift = np.array([100.0, 80.0, -5.0])
    seen = 60 * mesh @ turned(angle).T + shift
    found = place_mesh(seen)
    assert found.scale == pytest.approx(60)
    np.testing.assert_allclose(found.rotation, turned(angle), atol=1e-9)
    np.testing.assert_allclose(found.shift, shift, atol=1e-6)
    np.testing.assert_allclose(found.to_head(seen), mesh, atol=1e-9)
    np.testing.assert_allclose(found.to_picture(mesh), seen, atol=1e-6)


def test_no_reflection_is_taken_for_a_rotation():
    flat = np.random.default_rng(2).normal(size=(9, 3))
    found = place_points(flat, flat * (-1, 1, 1))
    assert np.linalg.det(found.rotation) == pytest.approx(1)
