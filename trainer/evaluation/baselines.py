"""Two baselines that any network should beat: the nearest photo, and that photo warped."""

from __future__ import annotations

import cv2
import numpy as np

from fsh.schemas.clip import FaceClip
from fsh.trainer.evaluation.evaluated_system import Draw


class NearestPhoto:
    """The photo whose landmarks are nearest, unchanged."""

    name, fingerprint = "nearest photo", "1"

    def __init__(self, size: int) -> None:
        self.size = size

    def fit(self, photos: FaceClip) -> Draw:
        def draw(landmarks: np.ndarray) -> np.ndarray:
            chosen = nearest(photos.landmarks, landmarks)
            return np.stack([resized(photos.frames[i], self.size) for i in chosen])

        return draw


class WarpedPhoto:
    """The nearest photo, laid onto the landmarks by the affine map that fits best."""

    name, fingerprint = "warped photo", "1"

    def __init__(self, size: int) -> None:
        self.size = size

    def fit(self, photos: FaceClip) -> Draw:
        def draw(landmarks: np.ndarray) -> np.ndarray:
            chosen = nearest(photos.landmarks, landmarks)
            pictures = [
                affine_warp(photos.frames[i], photos.landmarks[i], points)
                for i, points in zip(chosen, landmarks, strict=True)
            ]
            return np.stack([resized(picture, self.size) for picture in pictures])

        return draw


def nearest(photos: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """For each of (N, 68, 2) landmarks the number of the photo (T, 68, 2) with the nearest."""
    gaps = landmarks[:, None].astype(np.float64) - photos[None]
    return (gaps**2).sum(axis=(2, 3)).argmin(axis=1)


def affine_warp(picture: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A picture under the least-squares affine map of points (68, 2) to points (68, 2)."""
    from_ = np.column_stack([source, np.ones(len(source))]).astype(np.float64)
    matrix = np.linalg.lstsq(from_, target.astype(np.float64), rcond=None)[0].T
    side = picture.shape[1], picture.shape[0]
    return cv2.warpAffine(
        picture, matrix, side, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """A square picture uint8 (H, H, 3) at ``size`` pixels: averaged down, or cubic up."""
    how = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(picture, (size, size), interpolation=how)
