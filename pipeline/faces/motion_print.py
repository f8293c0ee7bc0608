"""A face's motion as a fingerprint of the footage: the same under another name, size or bit rate.

Pictures of one person in one chair look alike whenever they were taken, so a hash of how a clip
looks does not tell two takes apart. How the head and the mouth move does, and scaling, trimming
and compression change it little. A mirrored copy moves the same, the other way in some of the
values, and is found as well. Measured in ``tests/benchmarks/duplicates.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fsh.schemas.faces.landmarks import CHIN, EYE_CORNERS, EYES, NOSE_BRIDGE, NOSE_TIP

#: Moments of a fingerprint per second.
RATE = 12.5
#: Values per moment: where the head is (2), its roll, its turn, chin and lips.
VALUES = 6
#: Those of them that change their sign in a mirrored picture: across, roll and turn.
_TURNED_ROUND = np.array([True, False, True, True, False, False])
#: Steps of a value per distance of the eyes' outer corners.
_STEPS = 250
#: Moments that two clips must share to be compared.
_LEAST = 18
_BRIDGE = np.concatenate([NOSE_BRIDGE, EYES])


def motion_print(points: np.ndarray, times: np.ndarray) -> str:
    """The fingerprint of a clip: :data:`VALUES` signed bytes a moment, as hex digits.

    Args:
        points: (n, 68, 2), its landmarks, n > 0.
        times: (n,), their seconds.
    """
    points = np.asarray(points, np.float64)
    left, right = EYE_CORNERS
    face = max(float(np.median(np.linalg.norm(points[:, left] - points[:, right], axis=1))), 1e-3)
    place = points[:, _BRIDGE].mean(axis=1)
    roll = points[:, right, 1] - points[:, left, 1]
    turn = points[:, NOSE_TIP, 0] - points[:, [left, right], 0].mean(axis=1)
    chin = np.linalg.norm(points[:, CHIN] - points[:, 33], axis=1)
    lips = np.linalg.norm(points[:, 57] - points[:, 51], axis=1)
    motion = np.stack([*place.T, roll, turn, chin, lips]) / face
    clock = np.arange(times[0], times[-1] + 1e-9, 1 / RATE)
    sampled = np.stack([np.interp(clock, times, row) for row in motion], axis=1)
    steps = np.round((sampled - sampled.mean(axis=0)) * _STEPS)
    return steps.clip(-127, 127).astype(np.int8).tobytes().hex()


def motion_of(print_: str) -> np.ndarray:
    """float32 (moments, :data:`VALUES`) of a fingerprint.

    Raises:
        ValueError: if it is none.
    """
    return np.frombuffer(bytes.fromhex(print_), np.int8).reshape(-1, VALUES).astype(np.float32)


def motion_likeness(one: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """How alike a motion is to each of others at the lag where it is most: 1 the same, 0 unlike.

    Of two stretches x and y, each without its mean, it is 2⟨x, y⟩ / (⟨x, x⟩ + ⟨y, y⟩), for y as it
    is or mirrored, whichever is more.

    Args:
        one, others: as :func:`motion_of` gives them.

    Returns:
        float64 (len(others),); 0 where no lag gives enough moments in common.
    """
    longest = max(len(motion) for motion in (one, *others))
    size = 1 << (2 * longest - 1).bit_length()
    x, k = _spectra([one], size)
    y, m = _spectra(others, size)
    # A correlation at all lags is a product of spectra; a mask's counts and sums what overlaps.
    count = _back(k * m.conj(), size).round()
    sum_x, sum_y = _back(x * m.conj(), size), _back(k * y.conj(), size)
    products = x * y.conj()
    square_x = _back(_square_spectrum([one], size) * m.conj(), size)
    square_y = _back(k * _square_spectrum(others, size).conj(), size)
    shared = np.maximum(count, 1)
    means = sum_x * sum_y / shared
    kept, turned = (
        _back(products[:, rows].sum(axis=1, keepdims=True), size)
        - means[:, rows].sum(axis=1, keepdims=True)
        for rows in (~_TURNED_ROUND, _TURNED_ROUND)
    )
    inner = kept + np.abs(turned)
    outer = square_x + square_y
    outer -= ((sum_x**2 + sum_y**2).sum(axis=1, keepdims=True)) / shared
    # A step of rounding is no motion: faces that hardly move are like nothing.
    likeness = 2 * inner / np.maximum(outer, 2.0 * VALUES * shared)
    return np.where(count >= _LEAST, likeness, 0.0).max(axis=(1, 2))


def _spectra(motions: Sequence[np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of motions, (n, VALUES, f), and of where they are, (n, 1, f)."""
    values, masks = np.zeros((len(motions), VALUES, size)), np.zeros((len(motions), 1, size))
    for row, motion in enumerate(motions):
        values[row, :, : len(motion)] = motion.T
        masks[row, :, : len(motion)] = 1
    return np.fft.rfft(values), np.fft.rfft(masks)


def _square_spectrum(motions: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Spectra of the motions' squares, summed over the values, (n, 1, f)."""
    squares = np.zeros((len(motions), 1, size))
    for row, motion in enumerate(motions):
        squares[row, 0, : len(motion)] = (motion**2).sum(axis=1)
    return np.fft.rfft(squares)


def _back(spectrum: np.ndarray, size: int) -> np.ndarray:
    return np.fft.irfft(spectrum, size)
