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
_MIRRORED_LAST = np.argsort(_TURNED_ROUND, kind="stable")
#: Steps of a value per distance of the eyes' outer corners.
_STEPS = 250
#: Moments that two clips must share to be compared.
_LEAST = 18
#: Places of lags are a multiple of this …
_SIZES = 128
#: … and those of so many pairs are compared at once: what they need stays in a core's cache.
_AT_ONCE = 32
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
    """:func:`likeness_of_pairs` of a motion and each of others, float64 (len(others),)."""
    numbers = np.arange(len(others))
    return likeness_of_pairs([one, *others], np.zeros_like(numbers), numbers + 1)


def likeness_of_pairs(motions: Sequence[np.ndarray], i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """How alike two motions are at the lag where they are most: 1 the same, 0 unlike.

    Of two stretches x and y, each without its mean, it is 2⟨x, y⟩ / (⟨x, x⟩ + ⟨y, y⟩), for y as it
    is or mirrored, whichever is more. What a motion needs is computed once for all its pairs.

    Args:
        motions: as :func:`motion_of` gives them.
        i, j: int (p,), which two of them each pair is.

    Returns:
        float64 (p,); 0 where no lag gives enough moments in common.
    """
    found = np.zeros(len(i))
    lengths = np.array([len(motion) for motion in motions])
    comparable = np.minimum(lengths[i], lengths[j]) >= _LEAST
    sizes = -(-(lengths[i] + lengths[j]) // _SIZES) * _SIZES
    for size in np.unique(sizes[comparable]).tolist():
        pairs = np.flatnonzero(comparable & (sizes == size))
        one, other = (
            _Moments([motions[n] for n in numbers.tolist()], size, backwards)
            for numbers, backwards in ((np.unique(i[pairs]), False), (np.unique(j[pairs]), True))
        )
        x, y = (np.unique(numbers[pairs], return_inverse=True)[1] for numbers in (i, j))
        for begin in range(0, len(pairs), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            found[pairs[part]] = _likeness(one, x[part], other, y[part])
    return found


class _Moments:
    """Motions as their pairs need them.

    Attributes:
        lengths: int (n,), moments of each.
        spectra: complex (n, 2, 3, f), of the values that a mirror leaves, and of those it turns.
        sums: float64 (n, VALUES + 1, 2 size), of the values of its first moments, and of their
            squares: before place ``size`` of none, there of one, then of two …
    """

    def __init__(self, motions: Sequence[np.ndarray], size: int, backwards: bool) -> None:
        self.lengths = np.array([len(motion) for motion in motions])
        self.sums = np.zeros((len(motions), VALUES + 1, 2 * size))
        values = self.sums[:, :VALUES, size:]
        for row, motion in enumerate(motions):
            steps = motion[::-1] if backwards else motion
            values[row, :, : len(motion)] = steps.T[_MIRRORED_LAST]
        self.spectra = np.fft.rfft(values).reshape(len(motions), 2, VALUES // 2, -1)
        np.einsum("nvt,nvt->nt", values, values, out=self.sums[:, VALUES, size:])
        np.cumsum(self.sums[:, :, size:], axis=2, out=self.sums[:, :, size:])

    def shared_sums(self, numbers: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Sums over what is shared with another motion at each lag, (p, VALUES + 1, size).

        Args:
            numbers: which motions.
            others: moments of each one's other motion.
        """
        size = self.sums.shape[2] // 2
        found = np.empty((len(numbers), VALUES + 1, size))
        starts = (size - others).tolist()
        for number, before, out in zip(numbers.tolist(), starts, found, strict=True):
            sums = self.sums[number]
            np.subtract(sums[:, size:], sums[:, before : before + size], out=out)
        return found


def _likeness(one: _Moments, i: np.ndarray, other: _Moments, j: np.ndarray) -> np.ndarray:
    """:func:`likeness_of_pairs` of a few; the others are backwards.

    So the end of the other meets the beginning of the one, and at lag k would share k + 1 moments
    with it if neither came to an end. All sums are of whole numbers, and exact.
    """
    size = one.sums.shape[2] // 2
    x_length, y_length = one.lengths[i], other.lengths[j]
    x, y = one.shared_sums(i, y_length), other.shared_sums(j, x_length)
    reach = np.arange(1, size + 1)
    count = np.minimum(reach, x_length[:, None]) + np.minimum(reach, y_length[:, None]) - reach
    shared = np.maximum(count, 1).astype(np.float64)
    # A product of spectra is the products' sum at all lags.
    products = (one.spectra[i] * other.spectra[j]).sum(axis=2)
    kept, turned = np.fft.irfft(products, size).round().swapaxes(0, 1)
    half = VALUES // 2
    kept -= _dot(x[:, :half], y[:, :half]) / shared
    turned -= _dot(x[:, half:VALUES], y[:, half:VALUES]) / shared
    outer = x[:, VALUES] + y[:, VALUES]
    outer -= (_dot(x[:, :VALUES], x[:, :VALUES]) + _dot(y[:, :VALUES], y[:, :VALUES])) / shared
    # A step of rounding is no motion: faces that hardly move are like nothing.
    likeness = 2 * (kept + np.abs(turned)) / np.maximum(outer, 2.0 * VALUES * shared)
    return np.where(count >= _LEAST, likeness, 0.0).max(axis=1)


def _dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Products of vectors (p, v, k), summed over v."""
    return np.einsum("pvk,pvk->pk", x, y)
