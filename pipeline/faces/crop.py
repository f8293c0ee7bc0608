"""The crop window around a head, and the crop itself. Photos and videos share both.

Coordinates: boxes are (left, top, right, bottom) edges in pixels; a window is (left, top, side)
in whole source pixels. Landmarks are pixel centres, so a source point p lies in the crop at
``(p - corner + 0.5) · size / side - 0.5``.
"""

from __future__ import annotations

import cv2
import numpy as np

from fsh.schemas.spec import FaceSpec

Window = tuple[int, int, int]
#: How far the head reaches from the box's centre, in box sides: left, up, right, down.
#: dlib's box runs from the brows to the chin; hair and chin lie outside of it.
HEAD = np.array([-0.65, -0.85, 0.65, 0.58], np.float32)


def window_of(box: np.ndarray, spec: FaceSpec) -> Window:
    """The square window for a face box (left, top, right, bottom), as the spec frames it."""
    left, top, right, bottom = (float(v) for v in box)
    face = max(right - left, bottom - top)
    side = max(2, 2 * round(spec.margin * face / 2))  # even: large ones are halved first
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2 - spec.shift * face
    return round(centre_x - side / 2), round(centre_y - side / 2), side


def cut(image: np.ndarray, window: Window, size: int) -> np.ndarray:
    """Crop a square window out of an image and scale it, never stretching.

    Args:
        image: uint8 (H, W, 3).
        window: left, top, side; may reach over the edge: outside pixels repeat the edge.
        size: side of the result in pixels.

    Returns:
        uint8 (size, size, 3), contiguous.
    """
    left, top, side = window
    height, width = image.shape[:2]
    pad = (max(0, -top), max(0, top + side - height), max(0, -left), max(0, left + side - width))
    # A window wholly outside still gets the nearest edge row and column.
    inner = image[
        min(max(top, 0), height - 1) : max(min(top + side, height), 1),
        min(max(left, 0), width - 1) : max(min(left + side, width), 1),
    ]
    if any(pad):
        inner = cv2.copyMakeBorder(inner, *pad, cv2.BORDER_REPLICATE)[:side, :side]
    if side == size:
        return np.ascontiguousarray(inner)
    if side < size:
        return cv2.resize(inner, (size, size), interpolation=cv2.INTER_CUBIC)
    return _shrunk(inner, size)


def _shrunk(image: np.ndarray, size: int) -> np.ndarray:
    """A square image shrunk with little aliasing: by halves, and once by what that leaves over.

    A quarter to a half of the time of ``INTER_AREA`` at an odd factor, which averages pixel by
    pixel; halving is vectorised. The odd step changes the scale by at most the root of two.
    """
    while len(image) > 2 * 2**0.5 * size and len(image) % 2 == 0:
        image = _halved(image)
    halvings = round(np.log2(len(image) / size))
    first = size << halvings
    image = cv2.resize(image, (first, first), interpolation=cv2.INTER_LINEAR)
    while len(image) > size:
        image = _halved(image)
    return image


def _halved(image: np.ndarray) -> np.ndarray:
    half = len(image) // 2
    return cv2.resize(image, (half, half), interpolation=cv2.INTER_AREA)


def to_crop(points: np.ndarray, window: Window, size: int) -> np.ndarray:
    """Source pixel coordinates (…, 2) to crop pixel coordinates, float32."""
    left, top, side = window
    scaled = (np.asarray(points, np.float64) - (left, top) + 0.5) * (size / side) - 0.5
    return scaled.astype(np.float32)


def to_source(points: np.ndarray, window: Window, size: int) -> np.ndarray:
    """The inverse of :func:`to_crop`, float32."""
    left, top, side = window
    scaled = (np.asarray(points, np.float64) + 0.5) * (side / size) - 0.5 + (left, top)
    return scaled.astype(np.float32)


def box_to_crop(boxes: np.ndarray, window: Window, size: int) -> np.ndarray:
    """Boxes (…, 4), edges in source pixels, as edges in crop pixels, float32."""
    left, top, side = window
    edges = np.asarray(boxes, np.float64) - (left, top, left, top)
    return (edges * (size / side)).astype(np.float32)
