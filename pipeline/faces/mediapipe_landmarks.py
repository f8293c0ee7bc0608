"""68 landmarks and the whole mesh from MediaPipe's face mesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fsh.pipeline.faces.face_mesh import PRESENT, FaceMesh, in_steps
from fsh.schemas.face_landmarks import FaceLandmarks
from fsh.schemas.mesh import landmarks_of_mesh


class MediaPipeLandmarks:
    """A :class:`~fsh.pipeline.faces.landmarks.LandmarkBackend` that gives the mesh too.

    Args:
        model: a verified ``face_landmarker.task``.

    Raises:
        FshError: see :class:`~fsh.pipeline.faces.face_mesh.FaceMesh`.
    """

    name = "mediapipe"
    knows_absence = True

    def __init__(self, model: Path) -> None:
        self._mesh = FaceMesh(model)

    def landmarks(
        self, images: np.ndarray, boxes: np.ndarray, *, consecutive: bool = False
    ) -> FaceLandmarks:
        """See :class:`~fsh.pipeline.faces.landmarks.LandmarkBackend`; NaN where no face is."""
        meshes, presence = self._mesh.find(images, boxes, consecutive=consecutive)
        meshes[presence < PRESENT] = np.nan
        return FaceLandmarks(in_steps(landmarks_of_mesh(meshes)), meshes)
