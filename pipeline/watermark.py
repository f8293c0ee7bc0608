"""An invisible mark of 32 bits in every frame, read from the whole clip at once.

The mark is one keyed pattern that stands still. Codecs keep what stands still, and over a clip it
adds up while what moves averages out. It grows with the picture, so scaling leaves it in place, and
repeats four times or more, so a crop only shifts it.

It lies in blue against yellow, where the eye hardly sees it, and with the opposite sign in luma,
there only as strong as the texture hides: codecs starve one or the other, rarely both. Opposite
signs partly cancel in blue, which is worth about 2 dB of PSNR.

At a shorter side of 128 pixels the pattern's tile has 64. In it, every Fourier mode between 0.07
and 0.2 cycles per pixel carries one sign in its real and one in its imaginary part. Lower is
visible, higher does not survive chroma subsampling and coarse quantization. A quarter of the signs
is a pilot, known beforehand, that finds shift and scale. The others are a random linear code of 32
bits: a quarter depends on the first 16 of them, a quarter on the last, a quarter on all. The first
two give lists of likely halves, the third decides, each by a Walsh-Hadamard transform: nearly the
maximum-likelihood payload of all 2³², so what is found is also read right.

Statistic: z = Σ sᵢyᵢ / ‖y‖, s the signs of the best hypothesis, y what was measured. The key's
signs are random and know nothing of the picture, so by Hoeffding's inequality a wrong hypothesis
reaches z with probability at most exp(-z²/2), whatever the picture. Summed over all payloads and
all shifts and scales tried, that is the p-value; it holds without any assumption on the content.
Half of the allowance for false alarms belongs to the mark where fsh put it, which is one place and
where it mostly still is; the other half to the millions of places a crop may have moved it to.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from fsh.schemas.errors import FshError

#: Everyone can read marks made with this key; that is its point. See docs/responsible-use.md.
PUBLIC_KEY = b"fsh public watermark key 2"
#: A mark counts as present below this p-value.
ALARM = 1e-6
BITS = 32

_TILE = 64  # pixels, at a shorter side of _SIDE
_SIDE = 128
_BAND = (0.07, 0.2)  # cycles per pixel at that size
_BLUE = 2.55  # Cb levels, RMS
_TO_GREEN, _TO_BLUE = -0.344, 1.772  # of one Cb level; red has none
_LUMA = (0.55, 0.27, 2.5)  # gray levels: at least, per level of texture, at most
_MOST = 255**2 * 10**-4.02  # mean square of a frame's change: 40.2 dB before rounding
_LUMA_WEIGHT = 0.7  # of what luma says, blue's being 1: codecs keep it worse
_LOOK = 256  # pixels of the shorter side at which texture is measured
_SCALES = np.exp(np.arange(-26, 33) * 0.008)  # 0.81 … 1.29: padded … cropped
_CANDIDATES = 24  # places the pilot proposes and the codes are tried at
_REFINED = 3  # of these, the places that are searched between pixels and scales
_LIST = 64  # likely values of each half of a payload
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


@dataclass(frozen=True)
class _Code:
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
            signs[where] *= _parity(column, payload >> (16 * number) & 0xFFFF)
        where, low, high = self.both
        signs[where] *= _parity(low, payload & 0xFFFF) * _parity(high, payload >> 16)
        return signs


@functools.lru_cache(maxsize=8)
def _code(key: bytes) -> _Code:
    y, x = np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None]
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
    return _Code(rows, columns, signs, pilot, halves, (both, drawn[both, 1], drawn[both, 2]))


def _parity(columns: np.ndarray, half: int | np.ndarray) -> np.ndarray:
    """(-1)^(column · half), float32."""
    return 1 - 2 * (np.bitwise_count(columns & half) & 1).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _tile(payload: int, key: bytes) -> np.ndarray:
    """The pattern, float32 (64, 64), zero mean, unit RMS."""
    code = _code(key)
    real, imaginary = np.split(code.word(payload), 2)
    spectrum = np.zeros((_TILE, _TILE // 2 + 1), np.complex64)
    spectrum[code.rows, code.columns] = real + 1j * imaginary
    mirrored = code.columns == 0
    spectrum[-code.rows[mirrored], 0] = np.conj(spectrum[code.rows[mirrored], 0])
    tile = np.fft.irfft2(spectrum, (_TILE, _TILE))
    return (tile / tile.std()).astype(np.float32)


class Watermark:
    """Marks frames one by one; keeps nothing between them.

    Args:
        payload: 32 bits, for instance :func:`payload_of` a person's card.
        key: who can read the mark; the default is everyone.
    """

    def __init__(self, payload: int, key: bytes = PUBLIC_KEY) -> None:
        if not 0 <= payload < 1 << BITS:
            raise FshError(f"a watermark payload has {BITS} bits, this is {payload:#x}")
        self.payload, self._pattern = payload, _tile(payload, key)
        self._field = self._green = self._blue = np.empty((0, 0), np.float32)

    def mark(self, frame: np.ndarray) -> np.ndarray:
        """A marked copy of a frame, uint8 (H, W, 3) RGB.

        Of any size, but below 256 px too little is left after a codec: enlarge first.
        """
        if self._field.shape != frame.shape[:2]:
            height, width = frame.shape[:2]
            self._field = _grow(self._pattern, height, width)
            self._green = self._field * np.float32(-_BLUE * _TO_GREEN)
            self._blue = self._field * np.float32(-_BLUE * _TO_BLUE)
        luma = cv2.multiply(self._field, _hidden(frame))
        change = cv2.merge([luma, cv2.add(luma, self._green), cv2.add(luma, self._blue)])
        power = cv2.norm(change) ** 2 / change.size
        if power > _MOST:
            change *= np.float32(np.sqrt(_MOST / power))
        return cv2.add(frame, change, dtype=cv2.CV_8U)

    def embed(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """:meth:`mark` over a stream or a batch."""
        return map(self.mark, frames)


def payload_of(text: str | bytes) -> int:
    """32 bits that stand for a card, hash or name: the start of its SHA-256."""
    data = text.encode() if isinstance(text, str) else text
    return int.from_bytes(hashlib.sha256(data).digest()[:4], "big")


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
    code = _code(key)
    best = _at_home(planes, code)
    if not best.p_value < ALARM:
        best = min(best, _anywhere(planes, code), key=lambda found: (found.p_value, -found.score))
    return replace(best, frames=count)


def _at_home(planes: list[np.ndarray], code: _Code) -> Detection:
    """The mark where fsh put it, at most moved by a part of a pixel."""
    places = [
        (*_decode(modes, dy, dx, code), modes, dy, dx, factor)
        for factor in _FACTORS
        for modes in [_modes(planes, factor, code)]
        for dy in _NUDGES
        for dx in _NUDGES
    ]
    return _read(places, code, tried=len(places))


def _anywhere(planes: list[np.ndarray], code: _Code) -> Detection:
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
        first.append((*_decode(modes, row, column, code), modes, row, column, scale))
    first.sort(key=lambda place: -place[0])
    # Shifts and scales lie on a grid; the mark may lie between.
    finer = [
        (*_decode(modes, row + dy, column + dx, code), modes, row + dy, column + dx, scale * factor)
        for _, _, _, row, column, scale in first[:_REFINED]
        for factor in _FACTORS
        for modes in [_modes(planes, scale * factor, code)]
        for dy in _NUDGES
        for dx in _NUDGES
    ]
    # Any place might have been refined: all count as tried, though few were.
    tried = len(scales) * _TILE**2 * len(_FACTORS) * len(_NUDGES) ** 2
    return _read(first + finer, code, tried)


def _read(places: list[tuple], code: _Code, tried: int) -> Detection:
    """The payload at the likeliest of some places.

    Args:
        places: (rough score, rough payload, modes, row, column, scale).
        tried: places that could have been the likeliest; half of the allowance is theirs.
    """
    places = sorted(places, key=lambda place: -place[0])[:_REFINED]
    score, payload, scale = max(
        (*_decode_jointly(modes, row, column, code), scale)
        for _, _, modes, row, column, scale in places
    )
    log_p = np.log(2 * tried) + BITS * np.log(2) - score**2 / 2
    p_value = float(np.exp(min(0.0, log_p)))
    return Detection(p_value < ALARM, payload, p_value, score, float(scale), 0)


def _grow(tile: np.ndarray, height: int, width: int) -> np.ndarray:
    """The tile repeated over a picture, as large as the picture asks; float32, unit RMS."""
    scale = min(height, width) / _SIDE
    rows, columns = (int(np.ceil(side / scale / _TILE)) + 1 for side in (height, width))
    return _zoom(np.tile(tile, (rows, columns)), scale, (height, width))


def _zoom(picture: np.ndarray, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """A picture enlarged about its upper left corner and cut to (H, W)."""
    move = (scale - 1) / 2  # pixel centers, not corners, are at whole coordinates
    matrix = np.array([[scale, 0, move], [0, scale, move]], np.float32)
    return cv2.warpAffine(picture, matrix, shape[::-1], flags=cv2.INTER_CUBIC)


def _hidden(frame: np.ndarray) -> np.ndarray:
    """How many gray levels of mark each place hides; float32 (H, W)."""
    height, width = frame.shape[:2]
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = _LOOK / min(height, width)
    if scale < 1:
        size = round(width * scale), round(height * scale)
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    detail = cv2.absdiff(luma, cv2.GaussianBlur(luma, (0, 0), 1.5)).astype(np.float32)
    least, share, most = _LUMA
    levels = np.minimum(least + share * cv2.GaussianBlur(detail, (0, 0), 4), most)
    return cv2.resize(levels, (width, height)) if scale < 1 else levels


def _planes(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luma and Cb with a shorter side of 128 px, float32."""
    height, width = frame.shape[:2]
    scale = _SIDE / min(height, width)
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


def _modes(planes: list[np.ndarray], scale: float, code: _Code) -> np.ndarray:
    """The band's modes of luma and blue folded into one tile; complex64 (M,).

    Each plane's are of unit RMS in every ring, and the mark's sign in blue is turned.
    """
    ring = np.hypot((code.rows + _TILE // 2) % _TILE - _TILE // 2, code.columns).round().astype(int)
    total = np.zeros(len(ring), np.complex64)
    for mean, weight in zip(planes, (_LUMA_WEIGHT, -1), strict=True):
        height, width = mean.shape
        shape = [int(np.ceil(side / scale / _TILE)) * _TILE for side in (height, width)]
        part = _zoom(mean, 1 / scale, (shape[0], shape[1]))
        tile = part.reshape(shape[0] // _TILE, _TILE, shape[1] // _TILE, _TILE).sum(axis=(0, 2))
        modes = np.fft.rfft2(tile)[code.rows, code.columns]
        power = np.bincount(ring, np.abs(modes) ** 2) / np.maximum(np.bincount(ring), 1)
        total += (weight * modes / np.sqrt(power[ring] + 1e-12)).astype(np.complex64)
    return total


def _places(modes: np.ndarray, code: _Code, scale: float, count: int) -> list[tuple]:
    """The shifts at which the pilot is strongest: (pilot's score, row, column, scale)."""
    known = np.zeros(len(code.signs), np.float32)
    known[code.pilot] = code.signs[code.pilot]
    real, imaginary = np.split(known, 2)
    # Σ known·y of a shift is the real part of one inverse transform of real and imaginary parts
    # taken alone, because a shift turns the modes' phases.
    spectrum = np.zeros((_TILE, _TILE), np.complex64)
    spectrum[code.rows, code.columns] = modes * (real - 1j * imaginary)
    surface = np.fft.ifft2(spectrum).real * _TILE**2
    best = np.argpartition(surface, -count, axis=None)[-count:]
    return [(float(surface.flat[at]), *divmod(int(at), _TILE), scale) for at in best]


def _decode(modes: np.ndarray, row: float, column: float, code: _Code) -> tuple[float, int]:
    """A rough (score, payload) at one shift, to compare places: each half is read for itself."""
    values, norm = _measured(modes, row, column, code)
    total, payload = float(values[code.pilot].sum()), 0
    for number, (where, codes) in enumerate(code.halves):
        likelihood = _hadamard(np.bincount(codes, values[where], 1 << 16).astype(np.float32))
        half = int(likelihood.argmax())
        total += float(likelihood[half])
        payload |= half << (16 * number)
    return total / norm, payload


def _decode_jointly(modes: np.ndarray, row: float, column: float, code: _Code) -> tuple[float, int]:
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
        turned = values[where] * _parity(columns[mine][None], listed[:, None])
        sums = np.zeros((_LIST, 1 << 16), np.float32)
        np.add.at(sums, (np.arange(_LIST)[:, None], columns[other][None]), turned)
        joint = _hadamard(sums) + likelihoods[other] + likelihoods[mine][listed][:, None]
        at, half = np.unravel_index(int(joint.argmax()), joint.shape)
        halves = {mine: int(listed[at]), other: int(half)}
        answers.append((float(joint[at, half]), halves[0] | halves[1] << 16))
    total, payload = max(answers)
    return (total + float(values[code.pilot].sum())) / norm, payload


def _measured(
    modes: np.ndarray, row: float, column: float, code: _Code
) -> tuple[np.ndarray, float]:
    """What each sign says, the scramble undone, at one shift; float32 (2M,); and their norm."""
    turned = modes * np.exp(2j * np.pi * (code.rows * row + code.columns * column) / _TILE)
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
