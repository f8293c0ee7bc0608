"""Landmark images: the 68 landmarks drawn as the networks see them.

As in the paper's description and the authors' later code: polylines, one colour per group, 2 pixels
wide at 256 pixels; the inner lip is not drawn (the outer one shows an open mouth). At 256 pixels
and above the points are rounded; smaller images are drawn anti-aliased at sub-pixel positions,
because a whole pixel there is several pixels of the face.

On request the irises of a mesh are dots in them, so that the eyes' direction shows: white, since
left and right change colours where pictures are mirrored.
"""

from __future__ import annotations

import cv2
import numpy as np

from fsh.schemas.faces.landmarks import (
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    NOSE_BRIDGE,
    NOSTRILS,
    OUTER_LIP,
    RIGHT_BROW,
    RIGHT_EYE,
)
from fsh.schemas.faces.mesh import IRISES
from fsh.schemas.faces.spec import FaceSpec


def _span(group: np.ndarray) -> slice:
    """A group's consecutive numbers as a slice, which is taken out of an array without a copy."""
    return slice(int(group[0]), int(group[-1]) + 1)


#: (landmarks, whether the line is closed, RGB) of everything drawn, in the order drawn.
POLYLINES = (
    (_span(JAW), False, (255, 255, 255)),
    (_span(LEFT_BROW), False, (255, 0, 0)),
    (_span(RIGHT_BROW), False, (0, 255, 0)),
    (_span(NOSE_BRIDGE), False, (0, 0, 255)),
    (_span(NOSTRILS), False, (0, 0, 255)),
    (_span(LEFT_EYE), True, (255, 0, 255)),
    (_span(RIGHT_EYE), True, (0, 255, 255)),
    (_span(OUTER_LIP), True, (255, 255, 0)),
)
#: Points that a face with irises has after its landmarks, each iris twice: a line without length is
#: a dot. And what is drawn of them, as in :data:`POLYLINES`.
IRIS_POINTS = 4
IRIS_DOTS = (
    (slice(68, 70), False, (255, 255, 255)),
    (slice(70, 72), False, (255, 255, 255)),
)
#: Bytes of images cleared and drawn in one call: about what a core's cache holds. Where a whole
#: episode is cleared first, its first images have left the cache when their lines are drawn.
BYTES_AT_ONCE = 1 << 19
_SHIFT = 4  # fractional bits of a sub-pixel coordinate


def rescale_landmarks(landmarks: np.ndarray, size: int, to: int) -> np.ndarray:
    """Landmarks in pixels of a ``size``-pixel crop, float32 in pixels of the crop at ``to``."""
    return ((landmarks + 0.5) * (to / size) - 0.5).astype(np.float32)


def in_shares(points: np.ndarray, size: int) -> np.ndarray:
    """Landmarks (…, 68, 2) or meshes (…, 478, 3) in pixels of a crop, in shares of its side.

    Returns:
        float32 of the same shape: 0…1 from edge to edge of the crop, depth in the same scale.
    """
    corner = np.array([0.5, 0.5, 0.0][: points.shape[-1]], np.float32)
    return ((points + corner) / size).astype(np.float32)


def irises_to_draw(mesh: np.ndarray | None, spec: FaceSpec) -> np.ndarray | None:
    """The middles of the irises (…, 2, 2) of meshes (…, 478, 3), in the same pixels.

    Returns:
        None if the spec does not want them drawn, or landmarks alone are known.
    """
    return mesh[..., IRISES, :2] if spec.gaze and mesh is not None else None


def draw_landmarks(
    landmarks: np.ndarray,
    size: int,
    out: np.ndarray | None = None,
    irises: np.ndarray | None = None,
) -> np.ndarray:
    """Landmarks as drawn pictures.

    Args:
        landmarks: (…, 68, 2), x and y in pixels of the pictures; points may lie outside.
        size: side of the pictures.
        out: memory for the pictures, C-contiguous, with anything in it.
        irises: (…, 2, 2), their middles, left and right, in the same pixels; None: not drawn.

    Returns:
        uint8 (…, size, size, 3) RGB on black; ``out`` if it was given.
    """
    leading = landmarks.shape[:-2]
    pictures = np.empty((*leading, size, size, 3), np.uint8) if out is None else out
    if irises is not None:
        landmarks = np.concatenate([landmarks, np.repeat(irises, 2, axis=-2)], axis=-2)
    points = landmarks.shape[-2]
    _draw(landmarks.reshape(-1, points, 2), size, pictures.reshape(-1, size, size, 3))
    return pictures


def draw_crop_landmarks(
    landmarks: np.ndarray, crop: int, size: int, out: np.ndarray, mesh: np.ndarray | None = None
) -> None:
    """Landmarks (…, 68, 2) in pixels of ``crop``-pixel crops, drawn at another size.

    Args:
        out: uint8 (…, size, size, 3), with anything in it.
        mesh: (…, 478, 3) in the crops' pixels, whose irises are drawn; None: they are not.
    """
    irises = None if mesh is None else rescale_landmarks(mesh[..., IRISES, :2], crop, size)
    draw_landmarks(rescale_landmarks(landmarks, crop, size), size, out, irises)


def _draw(landmarks: np.ndarray, size: int, pictures: np.ndarray) -> None:
    """Landmarks (N, 68, 2), perhaps with irises (N, 72, 2), onto pictures (N, size, size, 3)."""
    width = max(1, round(2 * size / 256))
    strokes = [(*line, width) for line in POLYLINES]
    if landmarks.shape[1] > 68:
        # Below the lids: those of shut eyes hide them.
        strokes = [*((*dot, max(1, round(3 * size / 256))) for dot in IRIS_DOTS), *strokes]
    exact = size >= 256
    line, shift = (cv2.LINE_8, 0) if exact else (cv2.LINE_AA, _SHIFT)
    points = np.rint(landmarks if exact else landmarks * (1 << _SHIFT))
    faces = points.clip(-(1 << 14), 1 << 14).astype(np.int32, order="C")
    margin, end = (2 * width) << shift, size << shift
    count = max(1, BYTES_AT_ONCE // (3 * size * size))
    for some in (slice(i, i + count) for i in range(0, len(faces), count)):
        canvas, several = pictures[some], faces[some]
        canvas.fill(0)
        # Pictures one below the other are one picture, unless a line reaches into another.
        if canvas.flags.c_contiguous and margin <= several.min() and several.max() < end - margin:
            several[:, :, 1] += np.arange(len(several), dtype=np.int32)[:, None] * end
            canvases = [(canvas.reshape(-1, size, 3), several)]
        else:
            canvases = [(one, face[None]) for one, face in zip(canvas, several, strict=True)]
        for one, group in canvases:
            for span, closed, color, thick in strokes:
                cv2.polylines(one, group[:, span], closed, color, thick, line, shift)
