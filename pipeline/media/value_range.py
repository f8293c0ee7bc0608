"""Which values of a picture are black and white, where a sample has more than eight bits.

A camera's 12 bits lie in 16 as they are; floats go to 1, to 255 or to anything. What the file
says about it counts; where it says nothing, what it holds.
"""

from __future__ import annotations

import numpy as np

#: How far values may lie beyond the white that is taken for theirs, as a share of it.
_OVERSHOOT = 1.05
#: Samples of fewer bits than 16 have at most this many: more are a picture of 16, maybe a dim one.
_MOST_LOW_BITS = 14


def value_range(
    values: np.ndarray, *, bits: int | None = None, stated: tuple[float, float] | None = None
) -> tuple[float, float]:
    """The values that are black and white.

    Args:
        values: integers or floats of any shape, without alpha.
        bits: bits of a sample that the file says hold anything; None: it does not say.
        stated: the lowest and the highest value, if the file says.

    Returns:
        Two numbers, the first less than the second.
    """
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    floats = values.dtype.kind == "f"
    full = np.inf if floats else float(np.iinfo(values.dtype).max)
    if stated and _is_told(stated, low, high, full):
        return stated
    if floats and (low < 0 or not _is_whole(finite)):
        return _float_range(low, high)
    if low < 0:  # numbers with a sign: their zero is grey
        power = float(_power_above(max(-low - 1, high, 127)))
        return -power, power - 1
    if bits is not None:
        return 0.0, 2.0**bits - 1 if high < 2**bits else full
    return 0.0, min(full, _integer_white(finite, high))


def to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8 of the same shape, 0 for ``low`` and 255 for ``high``; NaN is black."""
    scaled = np.subtract(values, low, dtype=np.float32 if _is_short(values) else np.float64)
    np.multiply(scaled, 255 / (high - low), out=scaled)
    return np.rint(np.nan_to_num(scaled, posinf=255, neginf=0).clip(0, 255)).astype(np.uint8)


def _is_short(values: np.ndarray) -> bool:
    """Whether float32 holds the values well enough, in half the memory."""
    return values.dtype.itemsize <= 2 or values.dtype == np.float32


def _is_told(stated: tuple[float, float], low: float, high: float, full: float) -> bool:
    """Whether what a file states is a statement: the type's own limit, the default, is none."""
    first, last = stated
    if not (np.isfinite(first) and np.isfinite(last) and last > first and last < full):
        return False
    return last * _OVERSHOOT >= high and first <= max(low, 0.05 * last)


def _is_whole(values: np.ndarray) -> bool:
    """Whether floats are integers, none of which would be a picture between 0 and 1."""
    return bool(values.max() > 2 and (values == np.rint(values)).all())


def _float_range(low: float, high: float) -> tuple[float, float]:
    slack = 0.05 * max(high, -low)
    if low < -slack:  # -1 to 1, or anything
        return (-1.0, 1.0) if max(-low, high) <= _OVERSHOOT else (low, max(high, low + 1e-12))
    if high <= _OVERSHOOT:
        return 0.0, 1.0
    for white, least in ((255.0, 16.0), (65535.0, 2.0**_MOST_LOW_BITS)):
        if least <= high <= white * _OVERSHOOT:
            return 0.0, white
    return max(0.0, low) if high > 65535 else 0.0, high


def _integer_white(values: np.ndarray, high: float) -> float:
    """White of integers without a sign, of which the highest is ``high``."""
    if high > 65535:
        return float(_power_above(high) - 1)
    if high > 255 and not (values % 257).any():  # eight bits, written twice
        return 65535.0
    if _power_above(high) > 2**_MOST_LOW_BITS:
        return 65535.0
    return float(max(256, _power_above(high)) - 1)


def _power_above(value: float) -> int:
    """The smallest power of two above a number that is not negative."""
    return 1 << int(value).bit_length()
