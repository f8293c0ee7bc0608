"""What a crop shows beyond the edge of its picture: the picture mirrored, ever softer.

As in FFHQ's alignment: near the edge a mirror image carries on what is there without a seam; a
little further it is blurred, so that no second eye looks back and no row of pixels becomes a
stripe; far out it is one colour, the mean of the edge. The mirror shows the neighbourhood of the
edge only: of a head some way below it, no second one hangs from above.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

#: Gaussians' sigmas, and how far from the edge each is reached; shares of the crop's side.
_SIGMAS, _REACHED = (0.01, 0.03, 0.1), (0.015, 0.05, 0.11)
#: How deep the blurred mirror looks into the picture at most.
_DEPTH = 0.04
#: From how far out only the edge's mean colour is left.
_FLAT = 0.22
#: Side of the copy on which blurred pixels are worked out: a sixteenth of the work at 256 px.
_SMALL = 64

_Rectangle = tuple[int, int, int, int]  # left, top, right, bottom, whole pixels


def fill_outside(crop: np.ndarray, real: _Rectangle) -> np.ndarray:
    """A crop whose pixels outside a rectangle are replaced by the fill; inside nothing changes.

    Args:
        crop: uint8 (S, S, 3).
        real: left, top, right, bottom of the rectangle in whole pixels, not empty.

    Returns:
        uint8 (S, S, 3), contiguous; the same crop and rectangle give the same bytes.
    """
    left, top, right, bottom = real
    size = len(crop)
    inside = crop[top:bottom, left:right]
    pad = (top, size - bottom, left, size - right)
    if not any(pad):  # the edge runs through the outermost pixels
        return crop
    mirrored = cv2.copyMakeBorder(inside, *pad, cv2.BORDER_REFLECT)
    first, *blends = _blends(size, real)
    small = min(size, _SMALL)
    copy = cv2.resize(mirrored, (small, small), interpolation=cv2.INTER_AREA)
    rows, columns = _shallow(size, small, top, bottom), _shallow(size, small, left, right)
    copy = np.ascontiguousarray(copy[rows][:, columns])
    soft = _blurred(copy, _SIGMAS[0])
    for sigma, shares in zip(_SIGMAS[1:], blends, strict=False):
        soft = cv2.blendLinear(soft, _blurred(copy, sigma), *shares)
    flat = np.empty_like(soft)
    flat[:] = _edge_color(inside, pad)
    soft = cv2.blendLinear(soft, flat, *blends[-1])
    soft = cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR)
    filled = cv2.blendLinear(mirrored, soft, *first)
    filled[top:bottom, left:right] = inside
    return filled


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur, sigma as a share of the side."""
    sigma = max(sigma * len(image), 0.3)
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


@lru_cache(maxsize=32)
def _shallow(size: int, side: int, first: int, last: int) -> np.ndarray:
    """Which row (column) of a mirrored ``side``-pixel copy each one shows: none of much depth."""
    centre = (np.arange(side) + 0.5) / side
    edge = np.clip(centre, first / size, last / size)
    beyond = centre - edge
    depth = _DEPTH * (1 - np.exp(-np.abs(beyond) / _DEPTH))
    return ((edge + np.sign(beyond) * depth) * side - 0.5).round().astype(int).clip(0, side - 1)


def _edge_color(inside: np.ndarray, pad: tuple[int, int, int, int]) -> np.ndarray:
    """The mean colour, uint8 (3,), of the edges that the crop reaches over.

    Args:
        pad: pixels of fill above, below, left and right; not all 0.
    """
    edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
    pixels = np.concatenate([edge for edge, width in zip(edges, pad, strict=True) if width])
    return np.rint(pixels.mean(axis=0)).astype(np.uint8)


@lru_cache(maxsize=16)  # a clip's crops all have one window
def _blends(size: int, real: _Rectangle) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """How each level goes over into the next: float32 shares of the one and of the other.

    The first, from the mirror image to its softest blur, is of the crop's side, (S, S); the others
    are of the small copy's.
    """
    limits = (0.0, *_REACHED, _FLAT)
    blends = []
    for number, (start, end) in enumerate(pairwise(limits)):
        distance = _distance(size, size if not number else min(size, _SMALL), real)
        share = np.clip((distance - start) / (end - start), 0, 1)
        share = (share * share * (3 - 2 * share)).astype(np.float32)
        blends.append((1 - share, share))
    return tuple(blends)


def _distance(size: int, side: int, real: _Rectangle) -> np.ndarray:
    """Distance of each pixel of a ``side``-pixel copy from the rectangle, shares of the side."""
    left, top, right, bottom = (edge / size for edge in real)
    centre = (np.arange(side) + 0.5) / side
    across = np.maximum(np.maximum(left - centre, centre - right), 0)
    down = np.maximum(np.maximum(top - centre, centre - bottom), 0)
    return np.hypot(across[None, :], down[:, None])
