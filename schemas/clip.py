"""Cropped faces with landmarks, in memory: what the pipeline hands to the trainer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fsh.schemas import landmarks
from fsh.schemas.spec import FaceSpec


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
            reach over the source's edge; outside pixels repeat the edge.
        spec: how the faces were cropped and landmarked.
        embedding: float32 (128,) mean identity embedding (dlib), or None if it was not asked for.
    """

    name: str
    frames: np.ndarray
    landmarks: np.ndarray
    times: np.ndarray
    crops: np.ndarray
    spec: FaceSpec
    embedding: np.ndarray | None = None

    def __post_init__(self) -> None:
        count, size = len(self.frames), self.spec.size
        assert self.frames.shape == (count, size, size, 3), self.frames.shape
        assert self.frames.dtype == np.uint8, self.frames.dtype
        assert self.landmarks.shape == (count, landmarks.POINTS, 2), self.landmarks.shape
        assert self.times.shape == (count,), self.times.shape
        assert self.crops.shape == (count, 3), self.crops.shape

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
        )

    @classmethod
    def concatenate(cls, clips: list[FaceClip], name: str = "") -> FaceClip:
        """Several photos or clips of one person as one clip; times run on.

        Raises:
            SpecMismatch: if the clips were not prepared alike.
        """
        first = clips[0]
        for other in clips[1:]:
            first.spec.require(other.spec, mine=first.name, theirs=other.name)
        known = [c.embedding for c in clips if c.embedding is not None]
        return cls(
            name=name or first.name,
            frames=np.concatenate([c.frames for c in clips]),
            landmarks=np.concatenate([c.landmarks for c in clips]),
            times=np.arange(sum(map(len, clips)), dtype=np.float64),
            crops=np.concatenate([c.crops for c in clips]),
            spec=first.spec,
            embedding=np.mean(known, axis=0).astype(np.float32) if known else None,
        )
