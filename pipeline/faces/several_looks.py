"""Landmarks found several times, in windows a little apart, and averaged.

Where MediaPipe's network sees a face's points depends on the window that it looks through, by a
third of a pixel of a 256-pixel crop; the mean of four looks is off by half as much. Four times the
cost is nothing for photos, and for drawings that are measured.
"""

from __future__ import annotations

import numpy as np

from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box
from fsh.schemas.faces.face_landmarks import FaceLandmarks

#: Boxes in which a face is looked at, as shifts and sides in sides of the face's.
_BOXES = ((-0.04, 0.0, 0.95), (0.04, 0.0, 1.05), (0.0, -0.04, 1.0), (0.0, 0.04, 1.0))


def look_several_times(
    backend: LandmarkBackend, images: np.ndarray, near: np.ndarray
) -> FaceLandmarks:
    """Faces near landmarks.

    Args:
        images: uint8 (N, H, W, 3) RGB.
        near: (N, 68, 2), pixels of the images.

    Returns:
        N faces; NaN where most looks found none.
    """
    return mean_faces([backend.landmarks(images, boxes) for boxes in boxes_around(near)])


def boxes_around(near: np.ndarray) -> list[np.ndarray]:
    """A few boxes (N, 4) around faces that are near landmarks (N, 68, 2)."""
    boxes = face_box(near)
    side, middle = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    return [
        np.hstack([middle + side * ((x, y) - np.array(w / 2)) for w in (large, -large)])
        for x, y, large in _BOXES
    ]


def mean_faces(looks: list[FaceLandmarks]) -> FaceLandmarks:
    """The same N faces looked for several times, averaged; NaN where most looks found none."""
    seen = np.array([faces.found for faces in looks])
    lost = seen.sum(0) * 2 < len(looks)

    def mean(parts: list[np.ndarray]) -> np.ndarray:
        whole = np.where(seen[..., None, None], parts, 0).sum(0)
        averaged = whole / np.maximum(seen.sum(0), 1)[:, None, None]
        return np.where(lost[:, None, None], np.nan, averaged).astype(np.float32)

    meshes = [faces.mesh for faces in looks if faces.mesh is not None]
    return FaceLandmarks(mean([faces.points for faces in looks]), mean(meshes) if meshes else None)
