"""A sample's bytes to arrays: pictures, landmarks, the video's id, and memory to put them in."""

from __future__ import annotations

import io
import json
import re
import sys
from functools import lru_cache

import cv2
import numpy as np

#: Denominator of the DCT scale to OpenCV's flag. Whole pictures come as RGB from the decoder.
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_VIDEO = re.compile(rb'"video_id":\s?"([^"\\]*)"')
#: Bytes of ``.npy`` in which the header of a plain array ends.
NPY_HEADER = 128


class Arrays:
    """uint8 arrays that come back by themselves when nobody holds them or a view of them any more.

    Touching fresh memory for the first time costs as much as decoding a picture into it.
    """

    def __init__(self) -> None:
        self.made: list[np.ndarray] = []

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array with anything in it."""
        for i in range(len(self.made)):
            # No more than two references: the list's, and what this very call makes.
            if self.made[i].shape == shape and sys.getrefcount(self.made[i]) <= 2:
                return self.made[i]
        self.made.append(np.empty(shape, np.uint8))
        return self.made[-1]


def video_of(info: bytes) -> str:
    """``video_id`` of a sample's JSON, without parsing its hundreds of times and boxes.

    Inside a string the quotes would be escaped, so what is found is the field.
    """
    found = _VIDEO.search(info)
    return found[1].decode() if found else json.loads(info)["video_id"]


def read_npy(data: bytes) -> np.ndarray:
    """An array from ``.npy`` bytes; never unpickles. Headers repeat, so they are parsed once."""
    shape, dtype, at = _npy_header(data[:NPY_HEADER])
    return np.frombuffer(data, dtype, offset=at).reshape(shape)


@lru_cache(256)
def _npy_header(head: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    file = io.BytesIO(head)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("only .npy of version 1.0 is read")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype.hasobject:
        raise ValueError("only plain arrays in C order are read")
    return shape, dtype, file.tell()


@lru_cache(64)
def reading_scale(size: int, to: int) -> tuple[int, int]:
    """(denominator, OpenCV's flag) of the smallest DCT scale that is still at least ``to``."""
    reduce = next((r for r in (8, 4, 2) if to * r <= size), 1)
    return reduce, _REDUCED[reduce]


def decode_jpeg(data: bytes, size: int, into: np.ndarray) -> bool:
    """A JPEG of ``size``² into a uint8 RGB picture of any size, decoded at 1/2, 1/4 or 1/8 where
    that does.

    Returns:
        False, the picture left as it was, if the bytes are not an image of that size.
    """
    to = into.shape[0]
    reduce, flag = reading_scale(size, to)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if image is None or image.shape[:2] != (-(-size // reduce),) * 2:
        return False
    if image.shape[0] != to:
        how = cv2.INTER_AREA if image.shape[0] > to else cv2.INTER_CUBIC
        image = cv2.resize(image, (to, to), interpolation=how)
    if reduce == 1:
        into[:] = image
    else:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=into)
    return True
