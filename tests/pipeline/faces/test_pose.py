"""Head poses from the landmarks of a projected model and of a real portrait."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import portrait_points
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.faces.pose import (
    WHOLE_FACE,
    camera_matrix,
    euler_angles,
    head_pose,
    head_poses,
    rotation_matrix,
)
from fsh.schemas.faces.landmarks import EYE_CORNERS, NOSE_TIP
from fsh.schemas.faces.mesh import MEAN_RIGID, RIGID_MESH

SIZE = 256


def head_at(yaw: float, pitch: float, roll: float, size: int = SIZE) -> np.ndarray:
    """(68, 2) landmarks of the generic head turned that way; the points it lacks are zero."""
    model = np.array([*WHOLE_FACE.values()], float)
    seen = (model @ rotation_matrix(yaw, pitch, roll).T + (20, -40, 1500)) @ camera_matrix(size).T
    points = np.zeros((68, 2), np.float32)
    points[list(WHOLE_FACE)] = seen[:, :2] / seen[:, 2:]
    return points


@given(st.floats(-60, 60), st.floats(-45, 45), st.floats(-60, 60))
def test_the_pose_of_a_projected_head_comes_back(yaw, pitch, roll):
    assert np.allclose(
        euler_angles(rotation_matrix(yaw, pitch, roll)), (yaw, pitch, roll), atol=1e-6
    )
    assert np.allclose(head_pose(head_at(yaw, pitch, roll), SIZE), (yaw, pitch, roll), atol=0.1)


def test_the_signs_of_a_pose():
    straight = head_at(0, 0, 0)
    # positive yaw: the nose points to the picture's right
    assert head_at(30, 0, 0)[NOSE_TIP, 0] > straight[NOSE_TIP, 0] + 5
    # positive pitch: looking down
    assert head_at(0, 20, 0)[NOSE_TIP, 1] > straight[NOSE_TIP, 1] + 5
    # positive roll: clockwise, so the eye on the right sinks below the one on the left
    tilted = head_at(0, 0, 20)[list(EYE_CORNERS)]
    assert tilted[1, 1] > tilted[0, 1] + 5


def test_no_pose_without_landmarks():
    assert np.isnan(head_pose(np.full((68, 2), np.nan, np.float32), SIZE)).all()


def test_the_portrait_looks_nearly_straight_ahead():
    yaw, pitch, roll = head_pose(portrait_points(), 512)
    assert abs(yaw) < 15 and abs(pitch) < 15 and abs(roll) < 15
    mirrored = head_pose(head_at(-yaw, pitch, -roll), SIZE)
    assert np.allclose(mirrored, (-yaw, pitch, -roll), atol=0.1)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (-50, 10, 5), (70, -15, -30)])
def test_a_meshs_pose_is_that_of_its_rigid_points(yaw, pitch, roll):
    mesh = np.random.default_rng(0).normal(size=(2, 478, 3))
    mesh[0, RIGID_MESH] = 90 * MEAN_RIGID @ rotation_matrix(yaw, pitch, roll).T + (128, 120, 5)
    mesh[1, 7] = np.nan
    poses = head_poses(np.zeros((2, 68, 2)), SIZE, mesh)
    assert np.allclose(poses[0], (yaw, pitch, roll), atol=1e-6) and np.isnan(poses[1]).all()


def test_without_a_mesh_it_is_that_of_the_68():
    points = np.stack([head_at(20, 5, 3), head_at(-10, 0, 0)])
    assert np.allclose(head_poses(points, SIZE), [(20, 5, 3), (-10, 0, 0)], atol=0.1)
    assert head_poses(points[:0], SIZE).shape == (0, 3)
