"""How much of a face lies under text: captions, logos, subtitles.

The detector is PaddleOCR's (DB, Apache-2.0), an ONNX file inside the wheel of rapidocr; nothing
else of that wheel is used. It takes a whole face for a letter now and then, so what is as tall as
a good part of the face is not counted. Measured in ``tests/benchmarks/text_overlap.py``.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.machine import without_reports

#: Side of the picture that the detector sees, pixels; a multiple of 32.
_SIDE = 256
#: A pixel is text from this probability on, a piece of text counts from this mean on.
_PIXEL, _PIECE = 0.3, 0.7
#: Largest height of a line of text, in sides of the face's box.
_TALLEST = 0.25
#: Pixels of the smallest piece.
_SMALLEST = 12
#: The detector finds the core of a line; the line is larger by this share of area over perimeter.
_GROW = 1.6
_REMEDY = "pip install 'fsh[text]'"


def require_text_detector() -> Path:
    """The detector's file.

    Raises:
        FshError: if the packages that carry and run it are not installed.
    """
    package = importlib.util.find_spec("rapidocr")
    if package is None or package.origin is None or not importlib.util.find_spec("onnxruntime"):
        raise FshError("text is found by packages that are not installed", remedy=_REMEDY)
    models = sorted((Path(package.origin).parent / "models").glob("*_det_*.onnx"))
    if not models:
        raise FshError("rapidocr carries no detector here", where=package.origin, remedy=_REMEDY)
    return models[0]


def text_overlap(pictures: np.ndarray, boxes: np.ndarray) -> float:
    """Share of the face's box under text, 0 to 1: median over the pictures.

    Args:
        pictures: uint8 (n, S, S, 3) RGB crops.
        boxes: (n, 4), the face boxes in them: left, top, right, bottom edges, pixels.
    """
    shares = [
        covered_share(text_probability(picture), box / picture.shape[0])
        for picture, box in zip(pictures, boxes, strict=True)
    ]
    return float(np.median(shares))


def text_probability(picture: np.ndarray) -> np.ndarray:
    """float32 (256, 256): how likely each place of a uint8 (S, S, 3) RGB picture is text."""
    network = _network()
    shown = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    pixels = shown[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
    name = network.get_inputs()[0].name
    return network.run(None, {name: np.ascontiguousarray(pixels)})[0][0, 0]


def covered_share(probability: np.ndarray, box: np.ndarray) -> float:
    """Share of a box under lines of text.

    Args:
        probability: (H, H), see :func:`text_probability`.
        box: left, top, right, bottom edges in shares of the picture.
    """
    side = probability.shape[0]
    left, top, right, bottom = (np.clip(box, 0, 1) * side).round().astype(int).tolist()
    if right <= left or bottom <= top:
        return 0.0
    count, labels, facts, _ = cv2.connectedComponentsWithStats(
        (probability > _PIXEL).astype(np.uint8)
    )
    covered = np.zeros((side, side), np.uint8)
    for number in range(1, count):
        area, wide, high = (int(facts[number, i]) for i in (4, 2, 3))
        piece = labels == number
        if area < _SMALLEST or probability[piece].mean() < _PIECE:
            continue
        places = np.argwhere(piece)[:, ::-1].astype(np.float32)
        if min(cv2.minAreaRect(places)[1]) > _TALLEST * (bottom - top):
            continue
        grow = round(area * _GROW / (2 * (wide + high)))
        around = np.ones((2 * grow + 1, 2 * grow + 1), np.uint8)
        covered |= cv2.dilate(piece.astype(np.uint8), around)
    return float(covered[top:bottom, left:right].mean())


@lru_cache(maxsize=1)
def _network():
    without_reports()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = str(require_text_detector())
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
