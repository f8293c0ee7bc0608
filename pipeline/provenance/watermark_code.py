"""The watermark's code: which signs of which Fourier modes carry a payload, and its decoding.

See :mod:`fsh.pipeline.provenance.watermark` for the design.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

BITS = 32
#: Side of the pattern's tile, pixels, at a picture's shorter side of :data:`SIDE`.
TILE = 64
SIDE = 128

_BAND = (0.07, 0.2)  # cycles per pixel at that size
_LIST = 64  # most likely values of each half of a payload that are combined


@dataclass(frozen=True)
class WatermarkCode:
    """What a key determines. M is the number of Fourier modes in the band; they carry 2M signs.

    Attributes:
        rows, columns: int (M,), the modes in an ``rfft2`` of the tile.
        signs: float32 (2M,) ±1, the key's random signs, with which the code's are multiplied; real
            parts first, then imaginary.
        pilot: int (P,), indices of signs that carry no payload.
        halves: per 16 bits of payload: indices of the signs that depend on them, and the code's
            column for each, uint16.
        both: indices of the signs that depend on both halves, and their columns in each.
    """

    rows: np.ndarray
    columns: np.ndarray
    signs: np.ndarray
    pilot: np.ndarray
    halves: tuple[tuple[np.ndarray, np.ndarray], ...]
    both: tuple[np.ndarray, np.ndarray, np.ndarray]

    def codeword(self, payload: int) -> np.ndarray:
        """The 2M signs that carry a payload; float32 ±1."""
        signs = self.signs.copy()
        for number, (where, column) in enumerate(self.halves):
            signs[where] *= parity(column, payload >> (16 * number) & 0xFFFF)
        where, low, high = self.both
        signs[where] *= parity(low, payload & 0xFFFF) * parity(high, payload >> 16)
        return signs


@functools.lru_cache(maxsize=8)
def watermark_code(key: bytes) -> WatermarkCode:
    """The code of a key; the same on every machine and in every version."""
    y, x = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    radius = np.hypot(y, x)
    inside = (radius >= _BAND[0]) & (radius <= _BAND[1]) & ((x > 0) | (y > 0))
    rows, columns = np.nonzero(inside)
    count = 2 * len(rows)
    # SHAKE-256 rather than numpy's generators: their streams may change between versions.
    stream = hashlib.shake_256(key).digest(count * 16)
    order = np.argsort(np.frombuffer(stream[: count * 8], ">u8"), kind="stable")
    signs = 1 - 2 * (np.frombuffer(stream[count * 8 :: 8], np.uint8) & 1).astype(np.float32)
    drawn = np.frombuffer(stream[count * 8 :], ">u2").reshape(count, 4).astype(np.uint16)
    pilot, first, second, both = np.array_split(order, 4)
    halves = tuple((part, drawn[part, 1]) for part in (first, second))
    return WatermarkCode(
        rows, columns, signs, pilot, halves, (both, drawn[both, 1], drawn[both, 2])
    )


def parity(columns: np.ndarray, half: int | np.ndarray) -> np.ndarray:
    """(-1)^(column · half), float32."""
    return 1 - 2 * (np.bitwise_count(columns & half) & 1).astype(np.float32)


@functools.lru_cache(maxsize=8)
def pattern_tile(payload: int, key: bytes) -> np.ndarray:
    """The pattern that carries a payload, float32 (64, 64), zero mean, unit RMS."""
    code = watermark_code(key)
    real, imaginary = np.split(code.codeword(payload), 2)
    spectrum = np.zeros((TILE, TILE // 2 + 1), np.complex64)
    spectrum[code.rows, code.columns] = real + 1j * imaginary
    mirrored = code.columns == 0
    spectrum[-code.rows[mirrored], 0] = np.conj(spectrum[code.rows[mirrored], 0])
    tile = np.fft.irfft2(spectrum, (TILE, TILE))
    return (tile / tile.std()).astype(np.float32)


def enlarge(picture: np.ndarray, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """A picture enlarged about its upper left corner and cropped to ``shape`` = (H, W)."""
    move = (scale - 1) / 2  # pixel centers, not corners, are at whole coordinates
    matrix = np.array([[scale, 0, move], [0, scale, move]], np.float32)
    return cv2.warpAffine(picture, matrix, shape[::-1], flags=cv2.INTER_CUBIC)


def decode_halves(
    modes: np.ndarray, row: float, column: float, code: WatermarkCode
) -> tuple[float, int]:
    """An approximate (score, payload) at one shift: each half is decoded by itself.

    Args:
        modes: complex (M,), the measured modes of a tile.
        row, column: the shift, pixels of the tile.
    """
    values, norm = _sign_values(modes, row, column, code)
    total, payload = float(values[code.pilot].sum()), 0
    for number, (where, codes) in enumerate(code.halves):
        likelihood = _hadamard(np.bincount(codes, values[where], 1 << 16).astype(np.float32))
        half = int(likelihood.argmax())
        total += float(likelihood[half])
        payload |= half << (16 * number)
    return total / norm, payload


def decode_jointly(
    modes: np.ndarray, row: float, column: float, code: WatermarkCode
) -> tuple[float, int]:
    """The most likely payload at one shift: (score z, payload); see :func:`decode_halves`."""
    values, norm = _sign_values(modes, row, column, code)
    likelihoods = [
        _hadamard(np.bincount(codes, values[where], 1 << 16).astype(np.float32))
        for where, codes in code.halves
    ]
    where, *columns = code.both
    answers = []
    for first, other in ((0, 1), (1, 0)):
        listed = np.argpartition(likelihoods[first], -_LIST)[-_LIST:].astype(np.uint16)
        # With one half fixed, the signs of both halves are a code of the other half.
        turned = values[where] * parity(columns[first][None], listed[:, None])
        sums = np.zeros((_LIST, 1 << 16), np.float32)
        np.add.at(sums, (np.arange(_LIST)[:, None], columns[other][None]), turned)
        joint = _hadamard(sums) + likelihoods[other] + likelihoods[first][listed][:, None]
        at, half = np.unravel_index(int(joint.argmax()), joint.shape)
        halves = {first: int(listed[at]), other: int(half)}
        answers.append((float(joint[at, half]), halves[0] | halves[1] << 16))
    total, payload = max(answers)
    return (total + float(values[code.pilot].sum())) / norm, payload


def _sign_values(
    modes: np.ndarray, row: float, column: float, code: WatermarkCode
) -> tuple[np.ndarray, float]:
    """The measured value of each sign at one shift, float32 (2M,), and the norm of all.

    The key's random signs are divided out.
    """
    turned = modes * np.exp(2j * np.pi * (code.rows * row + code.columns * column) / TILE)
    measured = np.concatenate([turned.real, turned.imag]).astype(np.float32)
    # Of a black picture all values are zero.
    return measured * code.signs, max(float(np.linalg.norm(measured)), 1e-9)


def _hadamard(values: np.ndarray) -> np.ndarray:
    """Walsh-Hadamard transform of (…, 65536): out[u] = Σ values[g]·(-1)^popcount(u & g)."""
    out = values.reshape(*values.shape[:-1], 256, 256)
    small = _hadamard_matrix()
    return (small @ out @ small).reshape(values.shape)


@functools.cache
def _hadamard_matrix() -> np.ndarray:
    """float32 (256, 256)."""
    both = np.arange(256, dtype=np.uint16)
    return 1 - 2 * (np.bitwise_count(both[:, None] & both[None]) & 1).astype(np.float32)
