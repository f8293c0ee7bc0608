"""What can be evaluated: whatever learns a person from photos and draws it from landmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks

#: N faces in crop pixels, none of them missing, to pictures of the crop uint8 (N, H, H, 3).
Draw = Callable[[FaceLandmarks], np.ndarray]


class EvaluatedSystem(Protocol):
    """One line of the results table.

    Attributes:
        name: as the table has it.
        fingerprint: what its drawings depend on besides photos and landmarks; when it changes,
            stored drawings are made again.
    """

    name: str
    fingerprint: str

    def fit(self, photos: FaceClip) -> Draw:
        """Learn a person from T photos; what is returned draws that person."""
        ...
