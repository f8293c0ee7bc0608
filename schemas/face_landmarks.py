"""Faces as points: what landmark backends find, drivers hand over and networks draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsh.schemas.landmarks import found
from fsh.schemas.mesh import LANDMARK_MIRROR, MESH_MIRROR


@dataclass(frozen=True)
class FaceLandmarks:
    """The landmarks of N faces, in the pixels of some pictures of theirs.

    Attributes:
        points: float32 (N, 68, 2), x and y of pixel centres, iBUG order; NaN in a row that failed.
        mesh: float32 (N, 478, 3), the same pixels (:mod:`fsh.schemas.mesh`), NaN in the same rows;
            None if the landmark backend gives none.
    """

    points: np.ndarray
    mesh: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: np.ndarray | slice) -> FaceLandmarks:
        """Some of the faces."""
        return FaceLandmarks(self.points[rows], None if self.mesh is None else self.mesh[rows])

    def mirrored(self, width: int) -> FaceLandmarks:
        """The faces of the mirrored pictures, ``width`` pixels wide."""
        points = self.points[:, LANDMARK_MIRROR] * (-1, 1) + (width - 1, 0)
        if self.mesh is None:
            return FaceLandmarks(points.astype(np.float32))
        mesh = self.mesh[:, MESH_MIRROR] * (-1, 1, 1) + (width - 1, 0, 0)
        return FaceLandmarks(points.astype(np.float32), mesh.astype(np.float32))

    @property
    def found(self) -> np.ndarray:
        """bool (N,): the faces that were found."""
        return found(self.points)
