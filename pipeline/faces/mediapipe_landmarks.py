"""68 landmarks and the whole mesh from MediaPipe's face mesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fsh.pipeline.faces.face_mesh import PRESENT, FaceMesh, in_steps, windows_of_boxes
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.mesh import landmarks_of_mesh


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
        return _faces(meshes)

    def following(self) -> FollowedMesh:
        """For the frames of a live video: the face is looked for where it was."""
        return FollowedMesh(self._mesh)


class FollowedMesh:
    """One face in frames that come one by one."""

    def __init__(self, mesh: FaceMesh) -> None:
        self._mesh = mesh
        self._window: np.ndarray | None = None

    def next(self, image: np.ndarray, box: np.ndarray | None) -> FaceLandmarks | None:
        """The face in the next frame; None if it is not there.

        Args:
            image: uint8 (H, W, 3) RGB.
            box: (4,), where it is; None: where it was in the frame before.
        """
        start = self._window if box is None else windows_of_boxes(box[None])[0]
        if start is None:
            return None
        mesh, presence, used = self._mesh.find_in_frame(image, start, None)
        self._window = used if presence >= PRESENT else None
        return None if self._window is None else _faces(mesh[None])


def _faces(meshes: np.ndarray) -> FaceLandmarks:
    return FaceLandmarks(in_steps(landmarks_of_mesh(meshes)), meshes)
