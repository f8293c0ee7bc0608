"""68 landmarks per face, from one of two backends behind one protocol.

``dlib`` ships with pip and works offline. ``fan`` (face-alignment) is the paper's own; its weights
are fetched. Which one was used is part of :class:`~fsh.schemas.spec.FaceSpec`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import dlib
import numpy as np

from fsh.pipeline.faces import weights
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.recognizer import model_file
from fsh.schemas.weights import weights_folder

POINTS = 68

#: What to say wherever dlib's points are chosen.
DLIB_LICENSE = (
    "dlib's 68-point model was trained on 300-W, whose licence excludes commercial use of the data"
)


#: The landmarks' longer extent as a share of the detector's box, and how far below the middle of
#: that box theirs lies: medians over faces that both were run on.
_SPAN, _BELOW = 0.965, 0.075


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


def face_box(points: np.ndarray) -> np.ndarray:
    """The square face box that 68 landmarks imply: what a crop window is best made from.

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
    side = (high - low + 1).max(axis=-1, keepdims=True) / _SPAN
    middle = (low + high) / 2 - side * (0, _BELOW)
    return np.concatenate([middle - side / 2, middle + side / 2], axis=-1).astype(np.float32)


def load_backend(name: str) -> LandmarkBackend:
    """The backend of that name, with its model loaded: call it once per process.

    Raises:
        FshError: if the name is unknown, or it is ``fan`` and its weights are not there.
    """
    if name == "dlib":
        return DlibLandmarks()
    if name == "fan":
        if path := weights.cached(weights.FAN_2D):
            from fsh.pipeline.faces.fan import FanLandmarks  # torch, only for those who want it

            return FanLandmarks(path)
        raise FshError(
            f"the weights {weights.FAN_2D.file} are not in {weights_folder()}",
            remedy=f"fetch them from {weights.FAN_2D.url}, or use --landmarks dlib",
        )
    raise FshError(f"no landmark backend {name!r}", remedy="choose dlib or fan")


def choose_backend(wanted: str, progress: Progress) -> str:
    """Decide once, before a run starts, which backend it uses, fetch its weights, and say so.

    Args:
        wanted: ``auto`` (fan if there is a GPU for it and its weights can be had, else dlib),
            ``dlib`` or ``fan``.

    Returns:
        ``dlib`` or ``fan``; :func:`load_backend` then needs no network.

    Raises:
        FshError: if ``fan`` was asked for and its weights cannot be had, or the name is unknown.
    """
    if wanted not in ("auto", "dlib", "fan"):
        raise FshError(f"no landmark backend {wanted!r}", remedy="choose auto, dlib or fan")
    if wanted == "dlib":
        progress.say(f"landmarks: dlib, as asked for ({DLIB_LICENSE})")
        return "dlib"
    if wanted == "auto" and not has_gpu():
        progress.say(f"landmarks: dlib; fan wants a GPU, use --landmarks fan ({DLIB_LICENSE})")
        return "dlib"
    try:
        path = weights.fetch(weights.FAN_2D, progress)
    except FshError as error:
        if wanted == "fan":
            raise FshError(
                error.what, where=error.where, remedy=f"{error.remedy}; or use --landmarks dlib"
            ) from error
        progress.say(f"landmarks: dlib, because {error.what} ({DLIB_LICENSE})")
        return "dlib"
    progress.say(f"landmarks: fan, weights {path} (licence: {weights.FAN_2D.license})")
    return "fan"


def has_gpu() -> bool:
    """Whether an NVIDIA driver runs here; asking torch would cost seconds at every start."""
    return Path("/proc/driver/nvidia/version").exists()
