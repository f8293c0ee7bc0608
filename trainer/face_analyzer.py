"""What the trainer asks of a face library: where a drawn face's landmarks are, and who it is.

The trainer knows no detector; :mod:`fsh.face_analysis` implements this with the pipeline's.
Pictures are uint8 (N, H, W, 3) RGB; landmarks are (N, 68, 2), x and y in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks


@dataclass(frozen=True)
class FaceAnalysis:
    """What is measured of N pictures of a face.

    Attributes:
        landmarks: found in the pictures, pixels of the data set's crop; NaN where no face was.
        identities: name of an identity network to its embeddings (N, D).
        pose: (N, 3) yaw, pitch, roll in degrees; NaN where no face was found.
        expression: (N, E) openings of eyes and mouth and heights of brows, as shares of the face;
            NaN where no face was found.
    """

    landmarks: FaceLandmarks
    identities: dict[str, np.ndarray]
    pose: np.ndarray
    expression: np.ndarray


class FaceAnalyzer(Protocol):
    """A landmark detector and identity networks, for faces whose place is roughly known."""

    @property
    def backbones(self) -> Mapping[str, str]:
        """Name of an identity network to what it is, with its weights' hash."""
        ...

    @property
    def landmark_backend(self) -> str:
        """What :meth:`analyze` finds landmarks with, with its weights' hash."""
        ...

    @property
    def missing(self) -> Mapping[str, str]:
        """Identity networks that cannot be used, and why."""
        ...

    def find_landmarks(self, pictures: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Landmarks float32 (N, 68, 2) in pixels of the pictures; NaN where no face was found.

        Args:
            near: (N, 68, 2) where the landmarks should be, pixels of the pictures.
        """
        ...

    def embed(self, pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Identity embeddings float32 (N, D) by the network that a person's photos are embedded by.

        Args:
            landmarks: (N, 68, 2), finite, pixels of the pictures.
        """
        ...

    def analyze(self, pictures: np.ndarray, near: np.ndarray) -> FaceAnalysis:
        """Landmarks, identities, pose and expression, by one backend whatever the data set's is.

        The identity of a face that was not found is that of what lies ``near``.

        Args:
            pictures: (N, H, H, 3), the whole crop at any size.
            near: (N, 68, 2) where the landmarks should be, pixels of the data set's crop.
        """
        ...

    def look_again(self, clip: FaceClip) -> FaceClip:
        """A clip with the landmarks that :meth:`analyze` finds in it, where it finds some.

        What is stored was found once, in another window than drawings are looked at in; the
        difference would count as every system's error. A clip of another backend stays as it is.
        """
        ...

    def poses(self, landmarks: FaceLandmarks) -> np.ndarray:
        """Yaw, pitch and roll of faces in degrees, (N, 3): by their meshes, if they have some.

        Args:
            landmarks: pixels of the data set's crop.
        """
        ...
