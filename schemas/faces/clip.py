"""Cropped faces with landmarks, in memory: what the pipeline hands to the trainer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fsh.schemas.faces import landmarks
from fsh.schemas.faces.mesh import MESH_POINTS
from fsh.schemas.faces.spec import FaceSpec


@dataclass(frozen=True)
class FaceClip:
    """A run of cropped, landmark-annotated frames of one face. A photo is a one-frame clip.

    Attributes:
        name: where it came from, for messages (a file name or a clip id).
        frames: uint8 (N, S, S, 3) RGB crops, S = ``spec.size``.
        landmarks: float32 (N, 68, 2), x and y in crop pixels; pixel centres are whole numbers.
            A frame in which no face was found holds NaN.
        times: float64 (N,), seconds on the source's own clock, increasing.
        crops: float32 (N, 3), the crop window in source pixels: left, top, side. The window may
            reach over the source's edge; what lies outside is made up (``real``).
        spec: how the faces were cropped and landmarked.
        embedding: float32 (128,) mean identity embedding (dlib), or None if it was not asked for.
        mesh: float32 (N, 478, 3), crop pixels (:mod:`fsh.schemas.faces.mesh`), NaN as
            ``landmarks``; None if the landmark backend gives none.
        real: float32 (N, 4), the part of each crop that shows the source: left, top, right, bottom
            edges in crop pixels, 0 … S; None if it is not known, as of older data sets: all of it.
        large: uint8 (N, L, L, 3) RGB, the same crops with more pixels; None: there are none.
    """

    name: str
    frames: np.ndarray
    landmarks: np.ndarray
    times: np.ndarray
    crops: np.ndarray
    spec: FaceSpec
    embedding: np.ndarray | None = None
    mesh: np.ndarray | None = None
    real: np.ndarray | None = None
    large: np.ndarray | None = None

    def __post_init__(self) -> None:
        count, size = len(self.frames), self.spec.size
        assert self.frames.shape == (count, size, size, 3), self.frames.shape
        assert self.frames.dtype == np.uint8, self.frames.dtype
        assert self.landmarks.shape == (count, landmarks.POINTS, 2), self.landmarks.shape
        assert self.times.shape == (count,), self.times.shape
        assert self.crops.shape == (count, 3), self.crops.shape
        if self.mesh is not None:
            assert self.mesh.shape == (count, MESH_POINTS, 3), self.mesh.shape
            assert self.mesh.dtype == np.float32, self.mesh.dtype
        if self.real is not None:
            assert self.real.shape == (count, 4), self.real.shape
            assert self.real.dtype == np.float32, self.real.dtype
        if self.large is not None:
            side = self.large.shape[1]
            assert self.large.shape == (count, side, side, 3), self.large.shape
            assert self.large.dtype == np.uint8, self.large.dtype

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def found(self) -> np.ndarray:
        """bool (N,): the frames that have landmarks."""
        return landmarks.found(self.landmarks)

    def take(self, which: np.ndarray | list[int]) -> FaceClip:
        """The frames of these numbers, in this order, under the same name and mean embedding."""
        return replace(
            self,
            frames=self.frames[which],
            landmarks=self.landmarks[which],
            times=self.times[which],
            crops=self.crops[which],
            mesh=None if self.mesh is None else self.mesh[which],
            real=None if self.real is None else self.real[which],
            large=None if self.large is None else self.large[which],
        )
