"""An invisible watermark of 32 bits in every frame, read from the whole clip at once.

The pattern. It is keyed and static, the same in every frame: codecs preserve static detail, and in
the mean of a clip it remains while moving detail averages out. It is scaled with the picture, so
that scaling the picture leaves it in place, and it repeats four times or more, so that a crop only
shifts it. It modulates blue against yellow (Cb), where the eye is least sensitive, and luma with
the opposite sign, there only as strongly as texture hides it: a codec may discard one of the two,
rarely both. The opposite signs partly cancel in the blue channel, which gains about 2 dB of PSNR.

The code. At a shorter side of 128 pixels the pattern's tile has 64 × 64 pixels. Every Fourier mode
of the tile between 0.07 and 0.2 cycles per pixel carries one sign in its real and one in its
imaginary part. Lower frequencies are visible, higher ones do not survive chroma subsampling and
coarse quantization. A quarter of the signs is a pilot, known beforehand, from which shift and scale
are found. The others are a random linear code of 32 bits: a quarter depends on the first 16 bits, a
quarter on the last 16, a quarter on all. The first two give lists of likely halves, the third
decides among their combinations, each by a Walsh-Hadamard transform. The result is nearly the
maximum-likelihood payload of all 2³²: a mark that is detected is also read correctly.

The statistic. z = Σ sᵢyᵢ / ‖y‖, where s are the signs of the best hypothesis (payload, shift and
scale) and y the measured modes. The key's signs are random and independent of the picture, so by
Hoeffding's inequality a wrong hypothesis reaches z with probability at most exp(-z²/2), whatever
the picture. Summed over all payloads, shifts and scales that were tried (union bound), this is the
p-value; it needs no assumption on the content. Half of the allowance for false alarms is reserved
for the place where fsh put the mark, where it usually still is; the other half is shared by the
millions of places to which a crop may have moved it.
"""

from __future__ import annotations

import cv2
import numpy as np

from fsh.pipeline.provenance.watermark_code import BITS, SIDE, TILE, enlarge, pattern_tile
from fsh.schemas.errors import FshError

#: Everyone can read marks made with this key, on purpose. See docs/responsible-use.md.
PUBLIC_KEY = b"fsh public watermark key 2"

_BLUE = 2.55  # amplitude in Cb levels, RMS
_TO_GREEN, _TO_BLUE = -0.344, 1.772  # of one Cb level; red has none
_LUMA = (0.55, 0.27, 2.5)  # amplitude in gray levels: at least, per level of texture, at most
_MOST = 255**2 * 10**-4.02  # mean square of a frame's change: 40.2 dB before rounding
_TEXTURE_SIDE = 256  # pixels of the shorter side at which texture is measured


class Watermark:
    """Marks frames one by one, independently of each other.

    Args:
        payload: 32 bits, for instance of a hash of a person's card.
        key: whoever has it can read the mark; everyone has the default.

    Raises:
        FshError: if the payload has more than 32 bits.
    """

    def __init__(self, payload: int, key: bytes = PUBLIC_KEY) -> None:
        if not 0 <= payload < 1 << BITS:
            raise FshError(f"a watermark payload has {BITS} bits, this is {payload:#x}")
        self.payload, self._pattern = payload, pattern_tile(payload, key)
        self._field = self._green = self._blue = np.empty((0, 0), np.float32)

    def mark(self, frame: np.ndarray) -> np.ndarray:
        """A marked copy of a frame, uint8 (H, W, 3) RGB.

        Any size works, but below 256 px too little of the mark survives a codec: enlarge first.
        """
        if self._field.shape != frame.shape[:2]:
            height, width = frame.shape[:2]
            self._field = _scaled_pattern(self._pattern, height, width)
            self._green = self._field * np.float32(-_BLUE * _TO_GREEN)
            self._blue = self._field * np.float32(-_BLUE * _TO_BLUE)
        luma = cv2.multiply(self._field, _luma_strength(frame))
        change = cv2.merge([luma, cv2.add(luma, self._green), cv2.add(luma, self._blue)])
        power = cv2.norm(change) ** 2 / change.size
        if power > _MOST:
            change *= np.float32(np.sqrt(_MOST / power))
        return cv2.add(frame, change, dtype=cv2.CV_8U)


def _scaled_pattern(tile: np.ndarray, height: int, width: int) -> np.ndarray:
    """The tile repeated over a picture and scaled with it; float32 (height, width), unit RMS."""
    scale = min(height, width) / SIDE
    rows, columns = (int(np.ceil(side / scale / TILE)) + 1 for side in (height, width))
    return enlarge(np.tile(tile, (rows, columns)), scale, (height, width))


def _luma_strength(frame: np.ndarray) -> np.ndarray:
    """The luma amplitude that texture hides at each place, gray levels; float32 (H, W)."""
    height, width = frame.shape[:2]
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = _TEXTURE_SIDE / min(height, width)
    if scale < 1:
        size = round(width * scale), round(height * scale)
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    detail = cv2.absdiff(luma, cv2.GaussianBlur(luma, (0, 0), 1.5)).astype(np.float32)
    least, share, most = _LUMA
    levels = np.minimum(least + share * cv2.GaussianBlur(detail, (0, 0), 4), most)
    return cv2.resize(levels, (width, height)) if scale < 1 else levels
