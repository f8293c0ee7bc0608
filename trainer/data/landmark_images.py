"""68 landmarks drawn as the image that the networks see.

As in the paper's description and the authors' later code: polylines, one colour per group, 2 pixels
wide at 256 pixels; the inner lip is not drawn (the outer one shows an open mouth). At 256 pixels
and above the points are rounded; smaller images are drawn anti-aliased at sub-pixel positions,
because a whole pixel there is several pixels of the face.
"""

from __future__ import annotations

import cv2
import numpy as np

#: (first point, point after the last, closed, RGB), in iBUG order.
GROUPS = (
    (0, 17, False, (255, 255, 255)),  # jaw
    (17, 22, False, (255, 0, 0)),  # brow on the image's left
    (22, 27, False, (0, 255, 0)),  # brow on the image's right
    (27, 31, False, (0, 0, 255)),  # bridge of the nose
    (31, 36, False, (0, 0, 255)),  # nostrils
    (36, 42, True, (255, 0, 255)),  # eye on the image's left
    (42, 48, True, (0, 255, 255)),  # eye on the image's right
    (48, 60, True, (255, 255, 0)),  # outer lip
)
#: Bytes of images cleared and drawn in one call: what a core keeps close to itself. Where a whole
#: episode is cleared first, its first images have left the cache when their lines come.
TOGETHER = 1 << 19
_SHIFT = 4  # fractional bits of a sub-pixel coordinate


def rescale(landmarks: np.ndarray, size: int, to: int) -> np.ndarray:
    """Landmarks of a ``size``-pixel crop in the same crop scaled to ``to`` pixels."""
    return ((landmarks + 0.5) * (to / size) - 0.5).astype(np.float32)


def draw(landmarks: np.ndarray, size: int) -> np.ndarray:
    """One landmark image.

    Args:
        landmarks: (68, 2) in pixels of the image; points may lie outside.
        size: side of the image.

    Returns:
        uint8 (size, size, 3) RGB, black background.
    """
    return draw_all(landmarks[None], size)[0]


def draw_all(landmarks: np.ndarray, size: int, into: np.ndarray | None = None) -> np.ndarray:
    """(N, 68, 2) in pixels of the images to uint8 (N, size, size, 3); ``into``: memory for them,
    whatever is in it.
    """
    shape = (len(landmarks), size, size, 3)
    images = np.empty(shape, np.uint8) if into is None else into
    width = max(1, round(2 * size / 256))
    exact = size >= 256
    line, shift = (cv2.LINE_8, 0) if exact else (cv2.LINE_AA, _SHIFT)
    points = np.rint(landmarks if exact else landmarks * (1 << _SHIFT))
    faces = points.clip(-(1 << 14), 1 << 14).astype(np.int32, order="C")
    margin, end = (2 * width) << shift, size << shift
    count = max(1, TOGETHER // (3 * size * size))
    for some in (slice(i, i + count) for i in range(0, len(faces), count)):
        canvas, several = images[some], faces[some]
        canvas.fill(0)
        # Images one below the other are one image, as long as nothing reaches into another.
        if canvas.flags.c_contiguous and margin <= several.min() and several.max() < end - margin:
            several[:, :, 1] += np.arange(len(several), dtype=np.int32)[:, None] * end
            todo = [(canvas.reshape(-1, size, 3), several)]
        else:
            todo = [(image, face[None]) for image, face in zip(canvas, several, strict=True)]
        for image, group in todo:
            for start, stop, closed, color in GROUPS:
                cv2.polylines(image, group[:, start:stop], closed, color, width, line, shift)
    return images
