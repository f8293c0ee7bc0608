"""68 landmarks from MediaPipe's face mesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fsh.pipeline.faces.face_mesh import PRESENT, FaceMesh

#: The mesh's point at each of the 68 places, in iBUG order. Of the points that are usual for a
#: place, the one nearest to dlib's on 800 frontal frames of 13 people; mirrored places have
#: mirrored points. The jaw is the oval's: on a turned head its far side lies on the face's own
#: edge, a little inside of the visible outline.
# fmt: off
PLACES = np.array([
    127, 234, 132, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 361, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 5, 4, 240, 97, 2, 326, 460,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 82, 13, 312, 308, 317, 14, 87,  # inner lips
])
# fmt: on


class MediaPipeLandmarks:
    """A :class:`~fsh.pipeline.faces.landmarks.LandmarkBackend` that takes 68 points of the mesh.

    Args:
        model: a verified ``face_landmarker.task``.

    Raises:
        FshError: see :class:`~fsh.pipeline.faces.face_mesh.FaceMesh`.
    """

    name = "mediapipe"

    def __init__(self, model: Path) -> None:
        self._mesh = FaceMesh(model)

    def landmarks(self, images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """See :class:`~fsh.pipeline.faces.landmarks.LandmarkBackend`; NaN where no face is."""
        meshes, presence = self._mesh.find(images, boxes)
        points = landmarks_of_mesh(meshes)
        points[presence < PRESENT] = np.nan
        return points


def landmarks_of_mesh(meshes: np.ndarray) -> np.ndarray:
    """The 68 landmarks (…, 68, 2) of meshes (…, 478, 3), in the same pixels."""
    return np.ascontiguousarray(meshes[..., PLACES, :2])
