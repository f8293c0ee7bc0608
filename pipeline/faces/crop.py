"""The crop window around a head, the crop itself, and coordinates in it; for photos and videos.

Coordinates: boxes are (left, top, right, bottom) edges in pixels; a crop window is (left, top,
side) in whole source pixels. Landmarks are pixel centres, so a source point p lies in the crop at
``(p - corner + 0.5) · size / side - 0.5``.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from fsh.pipeline.faces.edge_fill import fill_outside
from fsh.schemas.faces.spec import FaceSpec

#: Extent of the head from the centre of the face box, in box sides: left, up, right, down.
#: dlib's box runs from the brows to the chin; hair and chin lie outside of it.
HEAD = np.array([-0.65, -0.85, 0.65, 0.58], np.float32)


class CropWindow(NamedTuple):
    """A square of a picture, in its whole pixels; it may reach over the picture's edge."""

    left: int
    top: int
    side: int

    def within(self, region: tuple[int, int, int, int]) -> CropWindow:
        """The same window in pixels of a region (left, top, right, bottom) of the picture."""
        return CropWindow(self.left - region[0], self.top - region[1], self.side)


def crop_window(box: np.ndarray, spec: FaceSpec) -> CropWindow:
    """The crop window for a face box (left, top, right, bottom), as the spec frames faces."""
    left, top, right, bottom = (float(v) for v in box)
    face = max(right - left, bottom - top)
    side = max(2, 2 * round(spec.margin * face / 2))  # even: large ones are halved first
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2 - spec.shift * face
    return CropWindow(round(centre_x - side / 2), round(centre_y - side / 2), side)


def crop_image(image: np.ndarray, window: CropWindow, size: int) -> np.ndarray:
    """Crop a window out of an image and scale it to ``size``.

    Args:
        image: uint8 (H, W, 3).
        window: where it reaches over the image's edge, the image is continued mirrored and blurred
            (:mod:`fsh.pipeline.faces.edge_fill`), from the pixels in the window alone.
        size: side of the result in pixels.

    Returns:
        uint8 (size, size, 3), contiguous.
    """
    left, top, side = window
    height, width = image.shape[:2]
    pad = (max(0, -top), max(0, top + side - height), max(0, -left), max(0, left + side - width))
    crop = _scaled_window(image, window, pad, size)
    if not any(pad):
        return crop
    # In the crop's pixels: those that the edge runs through count as inside. The first row or
    # column stands for a picture wholly outside the window.
    edges = real_window(window, (width, height), size)
    first = np.minimum(np.floor(edges[:2] + 1e-3).astype(int), size - 1)
    last = np.maximum(np.ceil(edges[2:] - 1e-3).astype(int), first + 1)
    return fill_outside(crop, (int(first[0]), int(first[1]), int(last[0]), int(last[1])))


def real_window(window: CropWindow, image_size: tuple[int, int], size: int) -> np.ndarray:
    """Which part of a window's crop shows the picture; the rest of it is made up.

    Args:
        image_size: width and height of the picture.
        size: side of the crop in pixels.

    Returns:
        float32 (4,): left, top, right, bottom edges in crop pixels, 0 … ``size``; of no area for a
        window wholly outside.
    """
    width, height = image_size
    return box_to_crop(np.array([0, 0, width, height]), window, size).clip(0, size)


def _scaled_window(
    image: np.ndarray, window: CropWindow, pad: tuple[int, int, int, int], size: int
) -> np.ndarray:
    """The crop with the edge's pixels repeated ``pad`` times: top, bottom, left, right."""
    left, top, side = window
    height, width = image.shape[:2]
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
    """A square image shrunk with little aliasing: by halves, and once by the remaining factor.

    This takes a quarter to a half of the time of ``INTER_AREA`` at an odd factor, which averages
    pixel by pixel; halving is vectorised. The one odd step is a factor of at most √2.
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
    """A square image at half its size; an odd last row and column are scaled in."""
    half = len(image) // 2
    return cv2.resize(image, (half, half), interpolation=cv2.INTER_AREA)


def to_crop(points: np.ndarray, window: CropWindow, size: int) -> np.ndarray:
    """Source pixel coordinates (…, 2) to crop pixel coordinates, float32."""
    left, top, side = window
    scaled = (np.asarray(points, np.float64) - (left, top) + 0.5) * (size / side) - 0.5
    return scaled.astype(np.float32)


def box_to_crop(boxes: np.ndarray, window: CropWindow, size: int) -> np.ndarray:
    """Boxes (…, 4), edges in source pixels, as edges in crop pixels, float32."""
    left, top, side = window
    edges = np.asarray(boxes, np.float64) - (left, top, left, top)
    return (edges * (size / side)).astype(np.float32)
