"""Reading the watermark: what stands still in a clip, and the likeliest mark in it.

See :mod:`fsh.pipeline.provenance.watermark` for the mark and for what the statistic is worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from fsh.pipeline.provenance.watermark import PUBLIC_KEY
from fsh.pipeline.provenance.watermark_code import (
    BITS,
    SIDE,
    TILE,
    Code,
    code_of,
    decode,
    decode_jointly,
    zoom,
)
from fsh.schemas.errors import FshError

#: A mark counts as present below this p-value.
ALARM = 1e-6

_LUMA_WEIGHT = 0.7  # of what luma says, blue's being 1: codecs keep it worse
_SCALES = np.exp(np.arange(-26, 33) * 0.008)  # 0.81 … 1.29: padded … cropped
_CANDIDATES = 24  # places the pilot proposes and the codes are tried at
_REFINED = 3  # of these, the places that are searched between pixels and scales
_FACTORS, _NUDGES = (0.9973, 1.0, 1.0027), (-0.4, 0.0, 0.4)  # of scale; in pixels
_FRAMES = 3000  # two minutes at 25 frames/s are plenty


@dataclass(frozen=True, slots=True)
class Detection:
    """What a clip says.

    Attributes:
        present: whether ``p_value`` is below :data:`ALARM`.
        payload: the 32 bits read; chance if not present.
        p_value: bound on the probability that an unmarked clip looks this marked; at most 1.
        score: the statistic z.
        scale: how much larger the mark is than where fsh puts it: about 1.11 after a 10 % crop.
        frames: how many were read.
    """

    present: bool
    payload: int
    p_value: float
    score: float
    scale: float
    frames: int


def detect(frames: Iterable[np.ndarray], key: bytes = PUBLIC_KEY) -> Detection:
    """Read the mark of a clip or of one picture.

    Args:
        frames: uint8 (H, W, 3) RGB, all of one size; at most 3,000 are read.

    Raises:
        FshError: if there are no frames.
    """
    total, count = None, 0
    for frame in frames:
        looked = np.stack([_whiten(plane) for plane in _planes(frame)])
        total = looked if total is None else total + looked
        count += 1
        if count == _FRAMES:
            break
    if total is None:
        raise FshError("no frames to look for a watermark in")
    planes = [_settle(plane / np.float32(count)) for plane in total]
    code = code_of(key)
    best = _at_home(planes, code)
    if not best.p_value < ALARM:
        best = min(best, _anywhere(planes, code), key=lambda found: (found.p_value, -found.score))
    return replace(best, frames=count)


def _at_home(planes: list[np.ndarray], code: Code) -> Detection:
    """The mark where fsh put it, at most moved by a part of a pixel."""
    places = [
        (*decode(modes, dy, dx, code), modes, dy, dx, factor)
        for factor in _FACTORS
        for modes in [_modes(planes, factor, code)]
        for dy in _NUDGES
        for dx in _NUDGES
    ]
    return _read(places, code, tried=len(places))


def _anywhere(planes: list[np.ndarray], code: Code) -> Detection:
    """The mark at any shift, and any scale of :data:`_SCALES`."""
    scales = [1.0, *_SCALES]
    found = [
        place
        for scale in scales
        for place in _places(_modes(planes, scale, code), code, scale, 8 if scale == 1 else 2)
    ]
    found.sort(reverse=True)
    first = []
    for _, row, column, scale in found[:_CANDIDATES]:
        modes = _modes(planes, scale, code)
        first.append((*decode(modes, row, column, code), modes, row, column, scale))
    first.sort(key=lambda place: -place[0])
    # Shifts and scales lie on a grid; the mark may lie between.
    finer = [
        (*decode(modes, row + dy, column + dx, code), modes, row + dy, column + dx, scale * factor)
        for _, _, _, row, column, scale in first[:_REFINED]
        for factor in _FACTORS
        for modes in [_modes(planes, scale * factor, code)]
        for dy in _NUDGES
        for dx in _NUDGES
    ]
    # Any place might have been refined: all count as tried, though few were.
    tried = len(scales) * TILE**2 * len(_FACTORS) * len(_NUDGES) ** 2
    return _read(first + finer, code, tried)


def _read(places: list[tuple], code: Code, tried: int) -> Detection:
    """The payload at the likeliest of some places.

    Args:
        places: (rough score, rough payload, modes, row, column, scale).
        tried: places that could have been the likeliest; half of the allowance is theirs.
    """
    places = sorted(places, key=lambda place: -place[0])[:_REFINED]
    score, payload, scale = max(
        (*decode_jointly(modes, row, column, code), scale)
        for _, _, modes, row, column, scale in places
    )
    log_p = np.log(2 * tried) + BITS * np.log(2) - score**2 / 2
    p_value = float(np.exp(min(0.0, log_p)))
    return Detection(p_value < ALARM, payload, p_value, score, float(scale), 0)


def _planes(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luma and Cb with a shorter side of 128 px, float32."""
    height, width = frame.shape[:2]
    scale = SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    colors = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb), size, interpolation=way)
    return colors[..., 0].astype(np.float32), colors[..., 2].astype(np.float32)


def _whiten(luma: np.ndarray) -> np.ndarray:
    """One frame's detail, divided by how much there is around it: edges shout no longer."""
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 2)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2)) + 0.5
    return np.clip(detail / spread, -3, 3)


def _settle(mean: np.ndarray) -> np.ndarray:
    """The clip's mean, divided by what else stands still around each place; unit RMS."""
    spread = np.sqrt(cv2.GaussianBlur(mean * mean, (0, 0), 2)) + 0.03
    settled = np.clip(mean / spread, -2, 2) / np.sqrt(spread)
    return settled / max(float(np.sqrt(np.mean(settled**2))), 1e-9)


def _modes(planes: list[np.ndarray], scale: float, code: Code) -> np.ndarray:
    """The band's modes of luma and blue folded into one tile; complex64 (M,).

    Each plane's are of unit RMS in every ring, and the mark's sign in blue is turned.
    """
    ring = np.hypot((code.rows + TILE // 2) % TILE - TILE // 2, code.columns).round().astype(int)
    total = np.zeros(len(ring), np.complex64)
    for mean, weight in zip(planes, (_LUMA_WEIGHT, -1), strict=True):
        height, width = mean.shape
        shape = [int(np.ceil(side / scale / TILE)) * TILE for side in (height, width)]
        part = zoom(mean, 1 / scale, (shape[0], shape[1]))
        tile = part.reshape(shape[0] // TILE, TILE, shape[1] // TILE, TILE).sum(axis=(0, 2))
        modes = np.fft.rfft2(tile)[code.rows, code.columns]
        power = np.bincount(ring, np.abs(modes) ** 2) / np.maximum(np.bincount(ring), 1)
        total += (weight * modes / np.sqrt(power[ring] + 1e-12)).astype(np.complex64)
    return total


def _places(modes: np.ndarray, code: Code, scale: float, count: int) -> list[tuple]:
    """The shifts at which the pilot is strongest: (pilot's score, row, column, scale)."""
    known = np.zeros(len(code.signs), np.float32)
    known[code.pilot] = code.signs[code.pilot]
    real, imaginary = np.split(known, 2)
    # Σ known·y of a shift is the real part of one inverse transform of real and imaginary parts
    # taken alone, because a shift turns the modes' phases.
    spectrum = np.zeros((TILE, TILE), np.complex64)
    spectrum[code.rows, code.columns] = modes * (real - 1j * imaginary)
    surface = np.fft.ifft2(spectrum).real * TILE**2
    best = np.argpartition(surface, -count, axis=None)[-count:]
    return [(float(surface.flat[at]), *divmod(int(at), TILE), scale) for at in best]
