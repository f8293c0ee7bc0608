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

import hashlib
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from fsh.pipeline.provenance.watermark_code import BITS, SIDE, TILE, tile_of, zoom
from fsh.schemas.errors import FshError

#: Everyone can read marks made with this key; that is its point. See docs/responsible-use.md.
PUBLIC_KEY = b"fsh public watermark key 2"

_BLUE = 2.55  # Cb levels, RMS
_TO_GREEN, _TO_BLUE = -0.344, 1.772  # of one Cb level; red has none
_LUMA = (0.55, 0.27, 2.5)  # gray levels: at least, per level of texture, at most
_MOST = 255**2 * 10**-4.02  # mean square of a frame's change: 40.2 dB before rounding
_LOOK = 256  # pixels of the shorter side at which texture is measured


class Watermark:
    """Marks frames one by one; keeps nothing between them.

    Args:
        payload: 32 bits, for instance :func:`payload_of` a person's card.
        key: who can read the mark; the default is everyone.
    """

    def __init__(self, payload: int, key: bytes = PUBLIC_KEY) -> None:
        if not 0 <= payload < 1 << BITS:
            raise FshError(f"a watermark payload has {BITS} bits, this is {payload:#x}")
        self.payload, self._pattern = payload, tile_of(payload, key)
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


def _grow(tile: np.ndarray, height: int, width: int) -> np.ndarray:
    """The tile repeated over a picture, as large as the picture asks; float32, unit RMS."""
    scale = min(height, width) / SIDE
    rows, columns = (int(np.ceil(side / scale / TILE)) + 1 for side in (height, width))
    return zoom(np.tile(tile, (rows, columns)), scale, (height, width))


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
