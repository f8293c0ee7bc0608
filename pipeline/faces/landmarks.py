"""What every landmark backend does, and the face box that landmarks imply.

The backends are :mod:`~fsh.pipeline.faces.dlib_landmarks`,
:mod:`~fsh.pipeline.faces.mediapipe_landmarks` and :mod:`~fsh.pipeline.faces.fan`;
:mod:`~fsh.pipeline.faces.backends` chooses and loads one. Which one was used is part of
:class:`~fsh.schemas.faces.spec.FaceSpec`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fsh.schemas.faces.face_landmarks import FaceLandmarks

#: The landmarks' longer extent as a share of the detector's box, and how far below the middle of
#: that box theirs lies: medians over faces that both were run on.
_EXTENT, _BELOW = 0.965, 0.075


class LandmarkBackend(Protocol):
    """Anything that finds the 68 landmarks of faces whose boxes are known.

    Attributes:
        name: as in :class:`~fsh.schemas.faces.spec.FaceSpec`.
        knows_absence: whether it finds nothing where no face is; others always find something.
    """

    name: str
    knows_absence: bool

    def landmarks(
        self, images: np.ndarray, boxes: np.ndarray, *, consecutive: bool = False
    ) -> FaceLandmarks:
        """Landmarks of one face per image.

        Args:
            images: uint8 (N, H, W, 3) RGB.
            boxes: float32 (N, 4) left, top, right, bottom in pixels of the images.
            consecutive: whether the images are frames of one video in their order, so that a
                backend may look for a face where it was.

        Returns:
            N faces; NaN in a row that failed, such as one with an empty box or one that is not
            finite.
        """
        ...


def usable_boxes(boxes: np.ndarray) -> np.ndarray:
    """bool (N,): boxes that are finite and at least two pixels wide and high."""
    boxes = np.asarray(boxes, np.float32)
    with np.errstate(invalid="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]
        return np.isfinite(boxes).all(axis=1) & (sides >= 2).all(axis=1)


def face_box(points: np.ndarray) -> np.ndarray:
    """The square face box that 68 landmarks imply; crop windows are made from it.

    It agrees with the HOG detector's box on average (measured on 141 photos and videos), but the
    detector's sizes come in steps of a fifth: the same picture at another scale gives a box 5 to
    9 % larger or smaller and 3 % off, where this one stays within 1 %.

    Args:
        points: (..., 68, 2) pixel centres.

    Returns:
        float32 (..., 4) left, top, right, bottom edges; NaN where a point is NaN.
    """
    points = np.asarray(points, np.float32)
    low, high = points.min(axis=-2), points.max(axis=-2)
    side = (high - low + 1).max(axis=-1, keepdims=True) / _EXTENT
    middle = (low + high) / 2 - side * (0, _BELOW)
    return np.concatenate([middle - side / 2, middle + side / 2], axis=-1).astype(np.float32)
