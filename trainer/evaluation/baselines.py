"""Baselines that any network should beat: the nearest photo, unchanged, warped and bent.

All draw at the crop's own size.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from fsh.schemas.errors import FshError
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.trainer.evaluation.evaluated_system import Draw, EvaluatedSystem
from fsh.trainer.models.face_warp import Warp, landmark_warp, mesh_warp, read

#: Pictures bent in one pass.
_BENT_AT_ONCE = 8


class NearestPhoto:
    """The photo whose landmarks are nearest, unchanged."""

    name, fingerprint = "nearest photo", "2"

    def fit(self, photos: FaceClip) -> Draw:
        def draw(landmarks: FaceLandmarks) -> np.ndarray:
            return photos.frames[nearest(photos.landmarks, landmarks.points)]

        return draw


class WarpedPhoto:
    """The nearest photo, laid onto the landmarks by the affine map that fits best."""

    name, fingerprint = "warped photo", "2"

    def fit(self, photos: FaceClip) -> Draw:
        def draw(landmarks: FaceLandmarks) -> np.ndarray:
            chosen = nearest(photos.landmarks, landmarks.points)
            pictures = [
                affine_warp(photos.frames[i], photos.landmarks[i], points)
                for i, points in zip(chosen, landmarks.points, strict=True)
            ]
            return np.stack(pictures)

        return draw


class BentPhoto:
    """The photo held and looking most alike, bent to the landmarks by a thin-plate spline."""

    name, fingerprint = "bent photo", "1"

    def fit(self, photos: FaceClip) -> Draw:
        def draw(landmarks: FaceLandmarks) -> np.ndarray:
            chosen = most_alike(photos.landmarks, landmarks.points)
            frames, own = photos.frames[chosen], photos.landmarks[chosen]
            return bent(frames, own, landmarks.points, landmark_warp)

        return draw


class MeshBentPhoto:
    """The same photo, bent by its mesh: triangle by triangle inside the face."""

    name, fingerprint = "bent photo (mesh)", "1"

    def fit(self, photos: FaceClip) -> Draw:
        meshes = photos.mesh
        if meshes is None:
            raise FshError("photos have no mesh to bend", where=photos.name, remedy=_NO_MESH)

        def draw(landmarks: FaceLandmarks) -> np.ndarray:
            if landmarks.mesh is None:
                raise FshError("a driver has no mesh to bend to", remedy=_NO_MESH)
            chosen = most_alike(photos.landmarks, landmarks.points)
            return bent(photos.frames[chosen], meshes[chosen], landmarks.mesh, mesh_warp)

        return draw


_NO_MESH = "make the data set again: fsh shard --landmarks mediapipe"
#: Names of all baselines: they show true pixels.
BASELINES = (NearestPhoto.name, WarpedPhoto.name, BentPhoto.name, MeshBentPhoto.name)


def baselines(meshes: bool) -> list[EvaluatedSystem]:
    """One of each.

    Args:
        meshes: whether all frames have meshes; without them a photo is not bent by its mesh.
    """
    flat: list[EvaluatedSystem] = [NearestPhoto(), WarpedPhoto(), BentPhoto()]
    return [*flat, MeshBentPhoto()] if meshes else flat


def nearest(photos: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """For each of (N, 68, 2) landmarks the number of the photo (T, 68, 2) with the nearest."""
    gaps = landmarks[:, None].astype(np.float64) - photos[None]
    return (gaps**2).sum(axis=(2, 3)).argmin(axis=1)


def most_alike(photos: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The same wherever in the picture the faces are: by pose, mouth and eyes."""
    photos, landmarks = (x - x.mean(axis=1, keepdims=True) for x in (photos, landmarks))
    return nearest(photos, landmarks)


def affine_warp(picture: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A picture under the least-squares affine map of points (68, 2) to points (68, 2)."""
    from_ = np.column_stack([source, np.ones(len(source))]).astype(np.float64)
    matrix = np.linalg.lstsq(from_, target.astype(np.float64), rcond=None)[0].T
    side = picture.shape[1], picture.shape[0]
    return cv2.warpAffine(
        picture, matrix, side, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


@torch.inference_mode()
def bent(
    pictures: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    warp: Callable[[Tensor, Tensor, int], Warp],
) -> np.ndarray:
    """Pictures uint8 (N, S, S, 3) whose faces are bent from points to points; read bicubically.

    Args:
        source, target: (N, P, 2 or 3), pixels of the pictures.
        warp: of :mod:`fsh.trainer.models.face_warp`.
    """
    side, parts = pictures.shape[1], [pictures[:0]]
    for start in range(0, len(pictures), _BENT_AT_ONCE):
        some = slice(start, start + _BENT_AT_ONCE)
        where = warp(_shares(target[some], side), _shares(source[some], side), side).reads
        photos = torch.from_numpy(pictures[some]).movedim(3, 1).float()
        drawn = read(photos, where, "bicubic").clamp(0, 255).round().to(torch.uint8)
        parts.append(drawn.movedim(1, 3).numpy())
    return np.concatenate(parts)


def _shares(points: np.ndarray, side: int) -> Tensor:
    """Points in pixels as shares of a picture's side, edge to edge; depth in the same scale."""
    found = torch.from_numpy(points.astype(np.float32)) / side
    found[..., :2] += 0.5 / side
    return found
