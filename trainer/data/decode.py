"""JPEGs to arrays, and the memory that they are decoded into."""

from __future__ import annotations

import math
import sys
from functools import lru_cache

import cv2
import numpy as np
import simplejpeg

#: libjpeg-turbo's vector stores are this many bytes wide.
VECTOR_BYTES = 32


class BufferPool:
    """uint8 arrays whose memory is used again once nobody refers to it or to a view of it.

    Touching fresh memory for the first time costs a fifth of decoding a picture into it.

    Attributes:
        buffers: of every array made: its shape, its memory, and where in the memory it lies.
    """

    def __init__(self) -> None:
        self.buffers: list[tuple[tuple[int, ...], np.ndarray, slice]] = []

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array of this shape with anything in it.

        It begins half-way between two multiples of :data:`VECTOR_BYTES`: where a row begins on one,
        libjpeg-turbo writes past the caches, which is slower here.
        """
        for made, memory, part in self.buffers:
            # Three references: the list's, this loop's and the call's. A view adds another one.
            if made == shape and sys.getrefcount(memory) <= 3:
                return memory[part].reshape(shape)
        memory = np.empty(math.prod(shape) + 2 * VECTOR_BYTES, np.uint8)
        start = -memory.ctypes.data % VECTOR_BYTES + VECTOR_BYTES // 2
        part = slice(start, start + math.prod(shape))
        self.buffers.append((shape, memory, part))
        return memory[part].reshape(shape)


@lru_cache(64)
def dct_scale(size: int, to: int) -> tuple[int, int]:
    """Denominator and side of the smallest DCT scale of ``size`` that is at least ``to``."""
    reduce = next((r for r in (8, 4, 2) if to * r <= size), 1)
    return reduce, -(-size // reduce)


def decode_jpeg(data: bytes, size: int, into: np.ndarray) -> bool:
    """Decode a JPEG of ``size``² pixels, at 1/2, 1/4 or 1/8 of its size where that suffices.

    Args:
        into: uint8 (H, H, 3) RGB of any size, C-contiguous, decoded into directly where no scaling
            is left to do.

    Returns:
        False if the bytes are damaged or no JPEG of that size; then anything may be in ``into``.
    """
    to = into.shape[0]
    reduce, side = dct_scale(size, to)
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
