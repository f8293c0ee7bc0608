"""The watermark's code: which signs of which Fourier modes carry a payload, and how it is decoded.

See :mod:`fsh.pipeline.provenance.watermark` for what it is meant to do.
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
_LIST = 64  # likely values of each half of a payload


@dataclass(frozen=True)
class Code:
    """The key's choices. M = number of Fourier modes in the band, 2M signs.

    Attributes:
        rows, columns: int (M,), the modes in an ``rfft2`` of the tile.
        signs: float32 (2M,) ±1, the scramble; real parts first, then imaginary.
        pilot: int (P,), indices of signs that are the scramble itself.
        halves: per 16 bits of payload: indices of signs, and the code's column for each, uint16.
        both: indices of the signs that depend on both halves, and their columns in each.
    """

    rows: np.ndarray
    columns: np.ndarray
    signs: np.ndarray
    pilot: np.ndarray
    halves: tuple[tuple[np.ndarray, np.ndarray], ...]
    both: tuple[np.ndarray, np.ndarray, np.ndarray]

    def word(self, payload: int) -> np.ndarray:
        """The 2M signs that carry a payload; float32 ±1."""
        signs = self.signs.copy()
        for number, (where, column) in enumerate(self.halves):
            signs[where] *= parity(column, payload >> (16 * number) & 0xFFFF)
        where, low, high = self.both
        signs[where] *= parity(low, payload & 0xFFFF) * parity(high, payload >> 16)
        return signs


@functools.lru_cache(maxsize=8)
def code_of(key: bytes) -> Code:
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
    return Code(rows, columns, signs, pilot, halves, (both, drawn[both, 1], drawn[both, 2]))


def parity(columns: np.ndarray, half: int | np.ndarray) -> np.ndarray:
    """(-1)^(column · half), float32."""
    return 1 - 2 * (np.bitwise_count(columns & half) & 1).astype(np.float32)


@functools.lru_cache(maxsize=8)
def tile_of(payload: int, key: bytes) -> np.ndarray:
    """The pattern, float32 (64, 64), zero mean, unit RMS."""
    code = code_of(key)
    real, imaginary = np.split(code.word(payload), 2)
    spectrum = np.zeros((TILE, TILE // 2 + 1), np.complex64)
    spectrum[code.rows, code.columns] = real + 1j * imaginary
    mirrored = code.columns == 0
    spectrum[-code.rows[mirrored], 0] = np.conj(spectrum[code.rows[mirrored], 0])
    tile = np.fft.irfft2(spectrum, (TILE, TILE))
    return (tile / tile.std()).astype(np.float32)


def zoom(picture: np.ndarray, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """A picture enlarged about its upper left corner and cut to (H, W)."""
    move = (scale - 1) / 2  # pixel centers, not corners, are at whole coordinates
    matrix = np.array([[scale, 0, move], [0, scale, move]], np.float32)
    return cv2.warpAffine(picture, matrix, shape[::-1], flags=cv2.INTER_CUBIC)


def decode(modes: np.ndarray, row: float, column: float, code: Code) -> tuple[float, int]:
    """A rough (score, payload) at one shift, to compare places: each half is read for itself."""
    values, norm = _measured(modes, row, column, code)
    total, payload = float(values[code.pilot].sum()), 0
    for number, (where, codes) in enumerate(code.halves):
        likelihood = _hadamard(np.bincount(codes, values[where], 1 << 16).astype(np.float32))
        half = int(likelihood.argmax())
        total += float(likelihood[half])
        payload |= half << (16 * number)
    return total / norm, payload


def decode_jointly(modes: np.ndarray, row: float, column: float, code: Code) -> tuple[float, int]:
    """The most likely payload at one shift: (score, payload)."""
    values, norm = _measured(modes, row, column, code)
    likelihoods = [
        _hadamard(np.bincount(codes, values[where], 1 << 16).astype(np.float32))
        for where, codes in code.halves
    ]
    where, *columns = code.both
    answers = []
    for mine, other in ((0, 1), (1, 0)):
        listed = np.argpartition(likelihoods[mine], -_LIST)[-_LIST:].astype(np.uint16)
        # With one half known, the signs of both are a code of the other half.
        turned = values[where] * parity(columns[mine][None], listed[:, None])
        sums = np.zeros((_LIST, 1 << 16), np.float32)
        np.add.at(sums, (np.arange(_LIST)[:, None], columns[other][None]), turned)
        joint = _hadamard(sums) + likelihoods[other] + likelihoods[mine][listed][:, None]
        at, half = np.unravel_index(int(joint.argmax()), joint.shape)
        halves = {mine: int(listed[at]), other: int(half)}
        answers.append((float(joint[at, half]), halves[0] | halves[1] << 16))
    total, payload = max(answers)
    return (total + float(values[code.pilot].sum())) / norm, payload


def _measured(modes: np.ndarray, row: float, column: float, code: Code) -> tuple[np.ndarray, float]:
    """What each sign says, the scramble undone, at one shift; float32 (2M,); and their norm."""
    turned = modes * np.exp(2j * np.pi * (code.rows * row + code.columns * column) / TILE)
    measured = np.concatenate([turned.real, turned.imag]).astype(np.float32)
    # A black picture measures nothing.
    return measured * code.signs, max(float(np.linalg.norm(measured)), 1e-9)


def _hadamard(values: np.ndarray) -> np.ndarray:
    """Walsh-Hadamard transform of (…, 65536): out[u] = Σ values[g]·(-1)^popcount(u & g)."""
    out = values.reshape(*values.shape[:-1], 256, 256)
    small = _hadamard_matrix()
    return (small @ out @ small).reshape(values.shape)


@functools.cache
def _hadamard_matrix() -> np.ndarray:
    both = np.arange(256, dtype=np.uint16)
    return 1 - 2 * (np.bitwise_count(both[:, None] & both[None]) & 1).astype(np.float32)
