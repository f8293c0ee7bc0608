"""The mesh's tables and its placement: mirror, mean head, rotation, scale and shift."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fsh.schemas.faces.landmarks import CHIN
from fsh.schemas.faces.mesh import (
    IRISES,
    LOWER_LIDS,
    LOWER_LIP,
    MEAN_RIGID,
    MESH_EYE_CORNERS,
    MESH_EYES,
    MESH_LIDS,
    MESH_MIRROR,
    MESH_POINTS,
    OUTLINE,
    PLACES,
    RIGID_MESH,
    UPPER_LIDS,
    UPPER_LIP,
    eye_openings,
    gaze,
    landmarks_of_mesh,
    place_mesh,
    place_points,
)
from fsh.schemas.faces.mesh_triangles import TRIANGLES


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


def bowl(turn: float) -> np.ndarray:
    """A mesh (478, 3) that is round in front and turned, 60 pixels to a unit; and symmetrical."""
    mesh = np.zeros((MESH_POINTS, 3))
    mesh[RIGID_MESH] = MEAN_RIGID
    mesh[PLACES[CHIN]] = 0, 1.4, 0.3
    for row, points in enumerate((PLACES[[*range(9, 17)]], OUTLINE)):
        spread = np.linspace(0, 1, len(points))
        x, y = np.cos(1.4 * (1 - spread)) * (0.8 - 0.3 * row), 1.2 - 1.2 * spread
        for point, across, down in zip(points, x, y, strict=True):
            if point not in RIGID_MESH:
                mesh[point] = across, down, 0.6 - 0.5 * row
                mesh[MESH_MIRROR[point]] = -across, down, 0.6 - 0.5 * row
    return 60 * mesh @ turned(turn).T + (128, 100, 0)


def test_the_68_are_points_of_a_frontal_mesh():
    mesh = np.stack([bowl(0.0), bowl(0.1)]).astype(np.float32)
    assert np.array_equal(landmarks_of_mesh(mesh), mesh[:, PLACES, :2])
    assert landmarks_of_mesh(mesh[:, None]).shape == (2, 1, 68, 2)
    lost = np.full((1, MESH_POINTS, 3), np.nan, np.float32)
    assert np.isnan(landmarks_of_mesh(lost)).all()


@pytest.mark.parametrize(("turn", "far"), [(-0.8, slice(9, 17)), (0.8, slice(0, 8))])
def test_the_far_side_of_a_turned_jaw_follows_the_outline(turn, far):
    """A head that turns to the right faces its right edge, which its cheek is."""
    mesh = bowl(turn)
    points, own = landmarks_of_mesh(mesh), mesh[PLACES, :2]
    moved = points - own
    outwards = moved[:, 0] * (1 if turn < 0 else -1)
    assert (outwards[far] >= 0).all() and outwards[far].max() > 3
    assert np.abs(moved[:, 1]).max() < 1e-6
    moved[far] = 0
    assert not moved.any()
    outline = mesh[OUTLINE if turn < 0 else MESH_MIRROR[OUTLINE], 0]
    edge = outline.max() if turn < 0 else outline.min()
    assert abs(points[far, 0] - edge).min() < 6
    other = landmarks_of_mesh(bowl(turn * 0.999))
    assert np.abs(other - points).max() < 0.3


def test_the_jaw_begins_to_follow_the_outline_gently():
    heads = np.stack([bowl(-turn) for turn in np.linspace(0.1, 0.6, 101)])
    away = (landmarks_of_mesh(heads) - heads[:, PLACES, :2])[..., 0]
    assert away[0].max() == 0 and away[-1].max() > 10
    assert np.abs(np.diff(away, axis=0)).max() < 0.06 * away.max()


def looking(across: float, down: float, opening: float, turn: float = 0.0) -> np.ndarray:
    """A mesh (1, 478, 3) whose irises are that far from the eyes' middle, in half widths."""
    mesh = np.zeros((MESH_POINTS, 3))
    mesh[RIGID_MESH] = MEAN_RIGID
    for (left, right), (upper, lower), iris in zip(MESH_EYES, MESH_LIDS, IRISES, strict=True):
        axis = mesh[right] - mesh[left]
        width, middle = np.linalg.norm(axis), (mesh[left] + mesh[right]) / 2
        gap = np.array([0, opening * width, 0])
        mesh[list(upper)] = middle - gap / 2
        mesh[list(lower)] = middle + gap / 2
        mesh[iris] = middle + across / 2 * axis + np.array([0, down / 2 * width, 0])
    return (70 * mesh @ turned(turn).T + (128, 128, 0))[None]


@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_eyes_open_and_look_around_whatever_the_head_does(turn):
    assert eye_openings(looking(0, 0, 0.3, turn))[0] == pytest.approx([0.3, 0.3])
    assert eye_openings(looking(0, 0, 0.0, turn))[0] == pytest.approx([0, 0])
    ahead, right, down = (gaze(looking(*at, 0.3, turn))[0] for at in ((0, 0), (0.5, 0), (0, 0.5)))
    assert ahead[0] == pytest.approx(0, abs=1e-6) and abs(ahead[1]) < 0.25
    assert right - ahead == pytest.approx([0.5, 0], abs=0.03)
    assert down - ahead == pytest.approx([0, 0.5], abs=0.03)
    assert gaze(looking(9, -9, 0.3, turn))[0] == pytest.approx([1, -1])


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


def test_no_triangle_reaches_across_the_edge_of_a_lip_or_a_lid():
    ends = TRIANGLES[:, [0, 1]], TRIANGLES[:, [1, 2]], TRIANGLES[:, [2, 0]]
    edges = {frozenset(edge) for edge in np.concatenate(ends).tolist()}
    rims = [(UPPER_LIP, LOWER_LIP), *zip(UPPER_LIDS, LOWER_LIDS, strict=True)]
    for upper, lower in rims:
        for line in (upper, lower):
            assert all(frozenset(edge) in edges for edge in itertools.pairwise(line))
    mouth = [row for row in TRIANGLES.tolist() if {*row} <= {*UPPER_LIP, *LOWER_LIP}]
    assert len(mouth) == len({*UPPER_LIP, *LOWER_LIP}) - 2  # as many as any polygon has
