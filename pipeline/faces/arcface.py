"""Identity embeddings by ArcFace, if its weights are present as ONNX; OpenCV runs them.

The published weights (insightface) may not be used commercially and are not fetched: put any
ArcFace-like network that takes 112×112 faces into the weights folder as ``arcface.onnx``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.faces.landmarks import LEFT_EYE, MOUTH_CORNERS, NOSE_TIP, RIGHT_EYE, similarity
from fsh.schemas.weights import weights_folder

ARCFACE_FILE = "arcface.onnx"
#: Side of the input, pixels.
SIDE = 112
#: Places of the eyes, the nose's tip and the mouth's corners in the input, pixels.
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
    """The path of ArcFace's weights.

    Raises:
        FshError: if they are not there; the message says where to put them.
    """
    path = weights_folder() / ARCFACE_FILE
    if not path.is_file():
        raise FshError("ArcFace's weights are not there", where=path, remedy="put them there")
    return path


def align_face(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face upright at ArcFace's size and place, by a least-squares similarity of five points.

    Args:
        image: uint8 (H, W, 3).
        points: (68, 2) landmarks in its pixels.

    Returns:
        uint8 (112, 112, 3).
    """
    eyes = points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0)
    five = np.array([*eyes, points[NOSE_TIP], *points[list(MOUTH_CORNERS)]], np.float64)
    return cv2.warpAffine(image, similarity(five, _PLACES), (SIDE, SIDE), flags=cv2.INTER_LINEAR)


class ArcFace:
    """A network that embeds faces.

    Raises:
        FshError: if the file holds no network.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._network = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise FshError("not an ONNX network", where=path) from error

    def embed(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The identity embedding of a face, float32 (D,).

        Args:
            image: uint8 (H, W, 3) RGB.
            points: (68, 2) landmarks in its pixels.
        """
        # RGB, (value − 127.5) / 127.5, as the published networks were trained.
        face = align_face(image, points)
        blob = cv2.dnn.blobFromImage(face, 1 / 127.5, (SIDE, SIDE), (127.5,) * 3)
        self._network.setInput(blob)
        return np.asarray(self._network.forward(), np.float32).ravel()
