"""68 landmarks per face, from one of two backends behind one protocol.

``dlib`` ships with pip and works offline. ``fan`` (face-alignment) is the paper's own; its weights
are fetched. Which one was used is part of :class:`~fsh.schemas.spec.FaceSpec`.
"""

from __future__ import annotations

from typing import Protocol

import dlib
import numpy as np

from fsh.pipeline.faces import model_file
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress

POINTS = 68

#: What to say wherever dlib's points are chosen.
DLIB_LICENSE = (
    "dlib's 68-point model was trained on 300-W, whose licence excludes commercial use of the data"
)


class LandmarkBackend(Protocol):
    """Anything that puts 68 points on faces whose boxes are known."""

    name: str

    def landmarks(self, images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Points of one face per image.

        Args:
            images: uint8 (N, H, W, 3) RGB.
            boxes: float32 (N, 4) left, top, right, bottom in pixels of the images.

        Returns:
            float32 (N, 68, 2), x and y of pixel centres; NaN in a row that failed, such as one
            with an empty box or one that is not finite.
        """
        ...


class DlibLandmarks:
    """dlib's regression trees, about 3 ms per face. Trained on boxes of dlib's own detector."""

    name = "dlib"

    def __init__(self) -> None:
        self._predictor = dlib.shape_predictor(
            str(model_file("shape_predictor_68_face_landmarks.dat"))
        )

    def landmarks(self, images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        points = np.full((len(images), POINTS, 2), np.nan, np.float32)
        for i in np.flatnonzero(usable(boxes)):
            left, top, right, bottom = (round(float(v)) for v in boxes[i])
            box = dlib.rectangle(left, top, right - 1, bottom - 1)
            shape = self._predictor(np.ascontiguousarray(images[i]), box)
            points[i] = [(p.x, p.y) for p in shape.parts()]
        return points


def usable(boxes: np.ndarray) -> np.ndarray:
    """bool (N,): boxes that are finite and at least two pixels wide and high."""
    boxes = np.asarray(boxes, np.float32)
    with np.errstate(invalid="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]
        return np.isfinite(boxes).all(axis=1) & (sides >= 2).all(axis=1)


def load_backend(name: str) -> LandmarkBackend:
    """The backend of that name, with its model loaded: call it once per process.

    Raises:
        FshError: if the name is unknown.
    """
    if name == "dlib":
        return DlibLandmarks()
    raise FshError(f"no landmark backend {name!r}", remedy="choose dlib or fan")


def choose_backend(wanted: str, progress: Progress) -> str:
    """Decide once, before a run starts, which backend ``auto`` means, and say so.

    Args:
        wanted: ``auto``, ``dlib`` or ``fan``.
    """
    if wanted in ("auto", "dlib"):
        progress.say(f"landmarks: dlib ({DLIB_LICENSE})")
        return "dlib"
    raise FshError(f"no landmark backend {wanted!r}", remedy="choose auto, dlib or fan")
