"""Arrays as ``.npy`` bytes, read without copying: landmarks in shards."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np

#: Bytes of ``.npy`` in which the header of a plain array ends.
_HEADER = 128


def npy_bytes(array: np.ndarray) -> bytes:
    """An array as ``.npy`` of version 1.0."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def read_npy(data: bytes) -> np.ndarray:
    """An array from ``.npy`` bytes; never unpickles. Headers repeat, so they are parsed once.

    Raises:
        ValueError: if it is no plain array of version 1.0.
    """
    shape, dtype, at = _read_header(data[:_HEADER])
    return np.frombuffer(data, dtype, offset=at).reshape(shape)


@lru_cache(256)
def _read_header(head: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    file = io.BytesIO(head)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("only .npy of version 1.0 is read")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        raise
    except Exception as error:  # NumPy takes the header apart with Python's own tokenizer
        raise ValueError(f"no .npy header ({error!r})") from error
    if fortran or dtype.hasobject:
        raise ValueError("only plain arrays in C order are read")
    return shape, dtype, file.tell()
