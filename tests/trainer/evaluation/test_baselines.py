"""The baselines: which photo they take, and where they put what it shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_data import SPEC, clip_of

from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.mesh import landmarks_of_mesh
from fsh.trainer.evaluation.baselines import (
    BASELINES,
    BentPhoto,
    MeshBentPhoto,
    affine_warp,
    baselines,
    most_alike,
    nearest,
)

MESHES = replace(SPEC, size=128, backend="mediapipe")


def dotted(points: np.ndarray, size: int) -> np.ndarray:
    """Black, with a soft white dot at each of (P, 2) places."""
    rows, columns = np.mgrid[:size, :size]
    dots = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.5**2)) for x, y in points]
    return np.repeat((255 * np.max(dots, axis=0)).astype(np.uint8)[..., None], 3, axis=2)


def found_at(picture: np.ndarray, near: np.ndarray, reach: int = 4) -> np.ndarray:
    """The middle of what is bright around a place."""
    x, y = near.round().astype(int)
    part = picture[y - reach : y + reach + 1, x - reach : x + reach + 1, 0].astype(float)
    rows, columns = np.mgrid[y - reach : y + reach + 1, x - reach : x + reach + 1]
    return np.array([(columns * part).sum(), (rows * part).sum()]) / part.sum()


#: Landmarks far enough from one another for a dot each: chin, jaw, brows, nose, eyes, mouth.
APART = [2, 8, 14, 19, 24, 30, 36, 45, 48, 54]


@pytest.mark.parametrize("system", [BentPhoto(), MeshBentPhoto()], ids=lambda one: one.name)
def test_a_bent_photo_has_its_landmarks_where_they_were_to_be(system):
    """More faces than go into one pass, each with the mouth and a brow moved its own way."""
    clip = clip_of(0, 20, spec=MESHES)
    photos = clip.take([0])
    frames = dotted(photos.landmarks[0, APART], MESHES.size)[None]
    target = clip.mesh[1:].copy()
    wanted = FaceLandmarks(landmarks_of_mesh(target), target)
    drawn = system.fit(replace(photos, frames=frames))(wanted)
    assert drawn.shape == (19, 128, 128, 3) and drawn.dtype == np.uint8
    errors = [
        np.linalg.norm(found_at(picture, points[i]) - points[i])
        for picture, points in zip(drawn, wanted.points, strict=True)
        for i in APART
    ]
    moved = np.linalg.norm(wanted.points - photos.landmarks, axis=2)[:, APART]
    assert moved.max() > 8
    assert np.mean(errors) < 0.5 and np.max(errors) < 1.6


def test_a_photo_bent_to_itself_is_itself():
    clip = clip_of(0, 2, spec=MESHES)
    for system in (BentPhoto(), MeshBentPhoto()):
        drawn = system.fit(clip)(FaceLandmarks(clip.landmarks, clip.mesh))
        assert np.abs(drawn.astype(int) - clip.frames).max() <= 2, system.name


def test_a_mouth_that_opens_is_bent_open():
    """One landmark moves alone; a map of the whole picture could not do it."""
    clip = clip_of(0, 1, spec=MESHES)
    points = clip.landmarks[0].copy()
    photos = replace(clip, frames=dotted(points[[8, 30]], MESHES.size)[None])
    points[6:11, 1] += 6
    (drawn,) = BentPhoto().fit(photos)(FaceLandmarks(points[None]))
    assert found_at(drawn, points[8])[1] == pytest.approx(points[8, 1], abs=0.5)
    assert found_at(drawn, points[30])[1] == pytest.approx(points[30, 1], abs=0.5)


def test_nearest_and_warped():
    clip = clip_of(0, 6)
    assert list(nearest(clip.landmarks, clip.landmarks[[4, 1]])) == [4, 1]
    same = affine_warp(clip.frames[0], clip.landmarks[0], clip.landmarks[0])
    assert np.abs(same.astype(int) - clip.frames[0]).max() <= 1


def test_the_photo_that_is_bent_looks_alike_wherever_it_is():
    points = np.tile(clip_of(0, 1).landmarks, (2, 1, 1))
    points[0, 60:] += [0, 5]  # another mouth, at the same place
    points[1] += 30  # the same face, elsewhere
    target = clip_of(0, 1).landmarks
    assert list(nearest(points, target)) == [0] and list(most_alike(points, target)) == [1]


def test_without_meshes_nothing_is_bent_by_them():
    assert tuple(one.name for one in baselines(meshes=True)) == BASELINES
    assert MeshBentPhoto.name not in [one.name for one in baselines(meshes=False)]
    flat, solid = clip_of(0, 2), clip_of(0, 2, spec=MESHES)
    with pytest.raises(FshError, match="no mesh"):
        MeshBentPhoto().fit(flat)
    with pytest.raises(FshError, match="no mesh"):
        MeshBentPhoto().fit(solid)(FaceLandmarks(flat.landmarks))
