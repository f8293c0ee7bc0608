"""Identity by ArcFace, for those who have its weights as ONNX; OpenCV runs them.

The published weights (insightface) may not be used commercially and are not fetched: put any
ArcFace-like network that takes 112×112 faces into the weights folder as ``arcface.onnx``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.weights import weights_folder

FILE = "arcface.onnx"
SIDE = 112
#: Where ArcFace wants the eyes, the nose's tip and the mouth's corners, pixels.
_PLACES = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)


def arcface_file() -> Path:
    """Raises FshError, saying where to put it, if it is not there."""
    path = weights_folder() / FILE
    if not path.is_file():
        raise FshError("ArcFace's weights are not there", where=path, remedy="put them there")
    return path


def aligned(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face turned upright at ArcFace's size, uint8 (112, 112, 3), from 68 landmarks."""
    eyes = points[36:42].mean(0), points[42:48].mean(0)
    found = np.array([*eyes, points[30], points[48], points[54]], np.float64)
    # Least-squares similarity, with points as complex numbers.
    x, y = found @ [1, 1j], _PLACES @ [1, 1j]
    a, b = x.mean(), y.mean()
    turn = (np.conj(x - a) * (y - b)).sum() / max((np.abs(x - a) ** 2).sum(), 1e-12)
    shift = b - turn * a
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)


class ArcFace:
    """A face's embedding.

    Raises:
        FshError: if the file is no network.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._network = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise FshError("not an ONNX network", where=path) from error

    def embed(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Args:
        image: uint8 (H, W, 3) RGB.
        points: (68, 2) landmarks in its pixels.

        Returns:
            float32 (D,).
        """
        # RGB, (value − 127.5) / 127.5, as the published networks were trained.
        face = aligned(image, points)
        blob = cv2.dnn.blobFromImage(face, 1 / 127.5, (SIDE, SIDE), (127.5,) * 3)
        self._network.setInput(blob)
        return np.asarray(self._network.forward(), np.float32).ravel()
