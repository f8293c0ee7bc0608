"""JPEGs to arrays, and memory to put them in."""

from __future__ import annotations

import math
import sys
from functools import lru_cache

import cv2
import numpy as np
import simplejpeg

#: libjpeg-turbo's vector stores are this many bytes wide.
GRID = 32


class Arrays:
    """uint8 arrays that come back by themselves when nobody holds them or a view of them any more.

    Touching fresh memory for the first time costs a fifth of decoding a picture into it.
    """

    def __init__(self) -> None:
        self.made: list[tuple[tuple[int, ...], np.ndarray, slice]] = []

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array with anything in it.

        It begins half-way between two multiples of :data:`GRID`: where a row begins on one,
        libjpeg-turbo writes past the caches, which is slower here.
        """
        for made, memory, part in self.made:
            # Three references: the list's, this loop's and the call's. Views hold `memory` too.
            if made == shape and sys.getrefcount(memory) <= 3:
                return memory[part].reshape(shape)
        memory = np.empty(math.prod(shape) + 2 * GRID, np.uint8)
        start = -memory.ctypes.data % GRID + GRID // 2
        self.made.append((shape, memory, slice(start, start + math.prod(shape))))
        return memory[self.made[-1][2]].reshape(shape)


@lru_cache(64)
def reading_scale(size: int, to: int) -> tuple[int, int]:
    """(denominator, side) of the smallest DCT scale that is still at least ``to``."""
    reduce = next((r for r in (8, 4, 2) if to * r <= size), 1)
    return reduce, -(-size // reduce)


def decode_jpeg(data: bytes, size: int, into: np.ndarray) -> bool:
    """A JPEG of ``size``² into a uint8 RGB picture of any size, decoded at 1/2, 1/4 or 1/8 where
    that does.

    Args:
        into: C-contiguous. Decoded into directly where no scaling is left to do.

    Returns:
        False if the bytes are damaged or no JPEG of that size; then anything may be in ``into``.
    """
    to = into.shape[0]
    reduce, side = reading_scale(size, to)
    target = into if side == to else None
    try:
        image = simplejpeg.decode_jpeg(
            data, "RGB", min_height=side, min_width=side, min_factor=reduce, buffer=target
        )
    except ValueError:
        return False
    if image.shape != (side, side, 3):
        return False
    if side != to:
        how = cv2.INTER_AREA if side > to else cv2.INTER_CUBIC
        cv2.resize(image, (to, to), dst=into, interpolation=how)
    return True
