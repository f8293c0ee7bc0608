"""Reading the watermark: the static detail of a clip, and the most likely mark in it.

See :mod:`fsh.pipeline.provenance.watermark` for the mark and for the meaning of the statistic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from fsh.pipeline.provenance.watermark import PUBLIC_KEY
from fsh.pipeline.provenance.watermark_code import (
    BITS,
    SIDE,
    TILE,
    WatermarkCode,
    decode_halves,
    decode_jointly,
    enlarge,
    watermark_code,
)
from fsh.schemas.errors import FshError

#: A mark counts as present below this p-value.
MAX_P_VALUE = 1e-6

_LUMA_WEIGHT = 0.7  # relative to Cb: codecs preserve the mark in luma worse
_SCALES = np.exp(np.arange(-26, 33) * 0.008)  # 0.81 (padded) … 1.29 (cropped)
_CANDIDATES = 24  # places that the pilot proposes and the code is decoded at
_REFINED = 3  # of these, the places around which fractions of pixels and scales are searched
_FACTORS, _OFFSETS = (0.9973, 1.0, 1.0027), (-0.4, 0.0, 0.4)  # of scale; in pixels
_FRAMES = 3000  # two minutes at 25 frames/s are enough


@dataclass(frozen=True, slots=True)
class WatermarkDetection:
    """What was read from a clip.

    Attributes:
        present: whether ``p_value`` is below :data:`MAX_P_VALUE`.
        payload: the 32 bits that were read; meaningless if not present.
        p_value: upper bound, at most 1, of the probability that a clip without a mark reaches the
            score.
        score: the statistic z.
        scale: scale of the mark relative to where fsh puts it: about 1.11 after a 10 % crop.
        frames: how many were read.
    """

    present: bool
    payload: int
    p_value: float
    score: float
    scale: float
    frames: int


class _Peak(NamedTuple):
    """A shift (in pixels of the tile) and a scale, and how well the pilot fits there."""

    pilot_score: float
    row: float
    column: float
    scale: float


class _Place(NamedTuple):
    """A shift and a scale, and what the halves of the payload decode to there."""

    score: float
    payload: int
    modes: np.ndarray
    row: float
    column: float
    scale: float


def detect_watermark(frames: Iterable[np.ndarray], key: bytes = PUBLIC_KEY) -> WatermarkDetection:
    """Read the mark of a clip or of one picture.

    Args:
        frames: uint8 (H, W, 3) RGB, all of one size; at most 3,000 are read.
        key: the key that it was marked with.

    Raises:
        FshError: if there are no frames.
    """
    total, count = None, 0
    for frame in frames:
        detail = np.stack([_whitened_detail(plane) for plane in _planes(frame)])
        total = detail if total is None else total + detail
        count += 1
        if count == _FRAMES:
            break
    if total is None:
        raise FshError("no frames to look for a watermark in")
    planes = [_whitened_mean(plane / np.float32(count)) for plane in total]
    code = watermark_code(key)
    best = _search_in_place(planes, code)
    if not best.p_value < MAX_P_VALUE:
        best = min(
            best, _search_everywhere(planes, code), key=lambda found: (found.p_value, -found.score)
        )
    return replace(best, frames=count)


def _search_in_place(planes: Sequence[np.ndarray], code: WatermarkCode) -> WatermarkDetection:
    """The mark where fsh put it, shifted by at most a fraction of a pixel."""
    places = _around(planes, code, _Peak(0.0, 0.0, 0.0, 1.0))
    return _best_of(places, code, tried=len(places))


def _search_everywhere(planes: Sequence[np.ndarray], code: WatermarkCode) -> WatermarkDetection:
    """The mark at any shift, and any scale of :data:`_SCALES`."""
    scales = [1.0, *_SCALES]
    peaks = [
        peak
        for scale in scales
        for peak in _pilot_peaks(_modes(planes, scale, code), code, scale, 8 if scale == 1 else 2)
    ]
    peaks.sort(reverse=True)
    places = []
    for _, row, column, scale in peaks[:_CANDIDATES]:
        modes = _modes(planes, scale, code)
        score, payload = decode_halves(modes, row, column, code)
        places.append(_Place(score, payload, modes, row, column, scale))
    places.sort(key=lambda place: -place.score)
    # Shifts and scales lie on a grid; the mark may lie between.
    refined = [
        finer
        for place in places[:_REFINED]
        for finer in _around(planes, code, _Peak(0.0, place.row, place.column, place.scale))
    ]
    # Every place might have been refined: all count as tried, though few were.
    tried = len(scales) * TILE**2 * len(_FACTORS) * len(_OFFSETS) ** 2
    return _best_of(places + refined, code, tried)


def _around(planes: Sequence[np.ndarray], code: WatermarkCode, peak: _Peak) -> list[_Place]:
    """Places at fractions of a pixel and slightly other scales around one."""
    places = []
    for factor in _FACTORS:
        scale = peak.scale * factor
        modes = _modes(planes, scale, code)
        for row in (peak.row + dy for dy in _OFFSETS):
            for column in (peak.column + dx for dx in _OFFSETS):
                score, payload = decode_halves(modes, row, column, code)
                places.append(_Place(score, payload, modes, row, column, scale))
    return places


def _best_of(places: Sequence[_Place], code: WatermarkCode, tried: int) -> WatermarkDetection:
    """The most likely payload over some places.

    Args:
        tried: how many places could have been the best, for the union bound. Half of the allowance
            for false alarms is theirs.
    """
    best = sorted(places, key=lambda place: -place.score)[:_REFINED]
    score, payload, scale = max(
        (*decode_jointly(place.modes, place.row, place.column, code), place.scale) for place in best
    )
    log_p = np.log(2 * tried) + BITS * np.log(2) - score**2 / 2
    p_value = float(np.exp(min(0.0, log_p)))
    return WatermarkDetection(p_value < MAX_P_VALUE, payload, p_value, score, float(scale), 0)


def _planes(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luma and Cb, scaled to a shorter side of 128 px, float32."""
    height, width = frame.shape[:2]
    scale = SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    colors = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb), size, interpolation=way)
    return colors[..., 0].astype(np.float32), colors[..., 2].astype(np.float32)


def _whitened_detail(plane: np.ndarray) -> np.ndarray:
    """One frame's detail divided by its local RMS, so that strong edges do not dominate."""
    detail = plane - cv2.GaussianBlur(plane, (0, 0), 2)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2)) + 0.5
    return np.clip(detail / spread, -3, 3)


def _whitened_mean(mean: np.ndarray) -> np.ndarray:
    """The clip's mean detail divided by the local RMS of all that is static; unit RMS."""
    spread = np.sqrt(cv2.GaussianBlur(mean * mean, (0, 0), 2)) + 0.03
    whitened = np.clip(mean / spread, -2, 2) / np.sqrt(spread)
    return whitened / max(float(np.sqrt(np.mean(whitened**2))), 1e-9)


def _modes(planes: Sequence[np.ndarray], scale: float, code: WatermarkCode) -> np.ndarray:
    """The band's Fourier modes of luma and Cb, folded into one tile; complex64 (M,).

    Each plane's modes have unit RMS in every ring of frequencies; Cb's count with a negative sign.
    """
    ring = np.hypot((code.rows + TILE // 2) % TILE - TILE // 2, code.columns).round().astype(int)
    total = np.zeros(len(ring), np.complex64)
    for mean, weight in zip(planes, (_LUMA_WEIGHT, -1), strict=True):
        height, width = mean.shape
        shape = [int(np.ceil(side / scale / TILE)) * TILE for side in (height, width)]
        part = enlarge(mean, 1 / scale, (shape[0], shape[1]))
        tile = part.reshape(shape[0] // TILE, TILE, shape[1] // TILE, TILE).sum(axis=(0, 2))
        modes = np.fft.rfft2(tile)[code.rows, code.columns]
        power = np.bincount(ring, np.abs(modes) ** 2) / np.maximum(np.bincount(ring), 1)
        total += (weight * modes / np.sqrt(power[ring] + 1e-12)).astype(np.complex64)
    return total


def _pilot_peaks(modes: np.ndarray, code: WatermarkCode, scale: float, count: int) -> list[_Peak]:
    """The ``count`` shifts at which the pilot fits best."""
    known = np.zeros(len(code.signs), np.float32)
    known[code.pilot] = code.signs[code.pilot]
    real, imaginary = np.split(known, 2)
    # The correlation Σ known·y for all shifts is the real part of one inverse Fourier transform,
    # because a shift rotates the phases of the modes.
    spectrum = np.zeros((TILE, TILE), np.complex64)
    spectrum[code.rows, code.columns] = modes * (real - 1j * imaginary)
    surface = np.fft.ifft2(spectrum).real * TILE**2
    best = np.argpartition(surface, -count, axis=None)[-count:]
    return [_Peak(float(surface.flat[at]), *divmod(int(at), TILE), scale) for at in best]
