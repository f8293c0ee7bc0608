"""Faces as points: what landmark backends find, drivers hand over and networks draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsh.schemas.faces.landmarks import found


@dataclass(frozen=True)
class FaceLandmarks:
    """The landmarks of N faces, in the pixels of some pictures of theirs.

    Attributes:
        points: float32 (N, 68, 2), x and y of pixel centres, iBUG order; NaN in a row that failed.
        mesh: float32 (N, 478, 3), the same pixels (:mod:`fsh.schemas.faces.mesh`), NaN in the same
            rows; None if the landmark backend gives none.
    """

    points: np.ndarray
    mesh: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: np.ndarray | slice) -> FaceLandmarks:
        """Some of the faces."""
        return FaceLandmarks(self.points[rows], None if self.mesh is None else self.mesh[rows])

    @property
    def found(self) -> np.ndarray:
        """bool (N,): the faces that were found."""
        return found(self.points)
