"""Pictures of more than eight bits a sample: TIFF in all its kinds, and PNG of 16 bits.

Pillow cuts their values off, or does not open them. What comes out has eight bits, scaled as
:mod:`fsh.pipeline.media.value_range` says, and is a Pillow image of the mode L, RGB, CMYK or LAB,
with an ``A`` where there is alpha.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

from fsh.pipeline.media.value_range import to_bytes, value_range

#: Numbers of TIFF's tags: lowest and highest value, as integers and in the type of the samples.
_MIN, _MAX, _SMIN, _SMAX = 280, 281, 340, 341
_ORIENTATION, _ICC = 274, 34675
_PHOTOMETRIC = tifffile.PHOTOMETRIC
_LAB = (_PHOTOMETRIC.CIELAB, _PHOTOMETRIC.ICCLAB)
_PNG = b"\x89PNG\r\n\x1a\n"
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is told as an error


def read_deep_tiff(path: Path, *, any_depth: bool = False) -> Image.Image | None:
    """The first page of a TIFF whose samples are not just bytes; None for every other file.

    Args:
        any_depth: also of bytes, because Pillow could not read them.

    Raises:
        ValueError: if it is such a TIFF and cannot be decoded.
        Image.DecompressionBombError: if it is too large.
    """
    with path.open("rb") as file:
        if file.read(2) not in (b"II", b"MM"):
            return None
        file.seek(0)
        is_wanted = any_depth
        try:
            with tifffile.TiffFile(file) as tiff:
                page: Any = tiff.pages.first
                is_wanted = is_wanted or _is_deep(page)
                if not is_wanted:
                    return None
                image = _image_of(page, _values(path, page))
                image.info["orientation"] = _tag(page, _ORIENTATION) or 1
                image.info["icc_profile"] = _tag(page, _ICC)
                return image
        except (Image.DecompressionBombError, OSError):
            raise
        except Exception as error:  # of a damaged file tifffile may raise anything
            if not is_wanted:
                return None
            raise ValueError(f"a damaged or unusual TIFF: {error}") from error


def read_deep_png(path: Path) -> Image.Image | None:
    """A PNG of 16 bits a sample; None for every other file, and for a damaged one."""
    content = path.read_bytes()
    if not content.startswith(_PNG) or content[12:16] != b"IHDR" or content[24:25] != b"\x10":
        return None
    # cv2 has blue first, and knows neither grey with alpha nor orientation here.
    values = _decoded_by_opencv(content)
    if values is None or values.dtype != np.uint16:
        return None
    values = values if values.ndim == 3 else values[..., None]
    values = values[..., [2, 1, 0, 3][: values.shape[-1]]] if values.shape[-1] > 2 else values
    colors = values.shape[-1] - 1 if values.shape[-1] in (2, 4) else values.shape[-1]
    low, high = value_range(values[..., :colors], bits=_significant_bits(content))
    return _from_bytes(_with_alpha(values, colors, low, high), "L" if colors == 1 else "RGB")


def _is_deep(page: Any) -> bool:
    bits, kind = page.bitspersample, int(page.sampleformat or 1)
    odd = bits not in (1, 2, 4, 8) or kind not in (1, 4)
    return odd or page.photometric == _PHOTOMETRIC.ICCLAB


def _values(path: Path, page: Any) -> np.ndarray:
    """A page's values (H, W, S), of the type that they are stored in."""
    if page.imagewidth * page.imagelength > 2 * (Image.MAX_IMAGE_PIXELS or 2**62):
        raise Image.DecompressionBombError(f"{page.imagewidth}×{page.imagelength} pixels")
    try:
        values, axes = page.asarray(), str(page.axes)
    except (ValueError, ImportError, NotImplementedError) as error:  # only others know how
        values = _values_by_others(path, page)
        if values is None:
            raise ValueError(str(error)) from error
        axes = "YXS" if values.ndim == 3 else "YX"
    if axes == "YX":
        return values[..., None]
    if sorted(axes) != ["S", "X", "Y"]:
        raise ValueError(f"not a plain picture: axes {axes}")
    return np.moveaxis(values, axes.index("S"), -1)


def _values_by_others(path: Path, page: Any) -> np.ndarray | None:
    """The values by OpenCV or, of one sample a pixel, by Pillow; None if neither can."""
    if page.samplesperpixel == 1:
        try:
            with Image.open(path) as image:
                return np.array(image)
        except (OSError, ValueError, SyntaxError):
            pass  # OpenCV knows more
    if int(page.planarconfig) != 1:
        return None
    values, bits = _decoded_by_opencv(path.read_bytes()), page.bitspersample
    if values is None:
        return None
    if bits in (10, 12, 14) and values.dtype == np.uint16:  # OpenCV moves them to the top
        values >>= 16 - bits
    elif values.dtype.itemsize * 8 != bits:
        return None
    if values.ndim == 3 and values.shape[-1] in (3, 4):
        values = values[..., [2, 1, 0, 3][: values.shape[-1]]]
    return values


def _decoded_by_opencv(content: bytes) -> np.ndarray | None:
    """Values as they are stored, blue first; None if OpenCV cannot decode them."""
    levels = cv2.utils.logging
    before = levels.setLogLevel(levels.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        levels.setLogLevel(before)


def _image_of(page: Any, values: np.ndarray) -> Image.Image:
    """A page's values as a picture of eight bits."""
    photometric = page.photometric
    if photometric == _PHOTOMETRIC.PALETTE:
        if page.colormap is None:
            raise ValueError("a palette is missing")
        values = np.moveaxis(np.asarray(page.colormap)[:, values[..., 0]], 0, -1)
        photometric = _PHOTOMETRIC.RGB
    if photometric in _LAB:
        return _lab(values, photometric == _PHOTOMETRIC.CIELAB)
    wanted = {_PHOTOMETRIC.RGB: 3, _PHOTOMETRIC.SEPARATED: 4, _PHOTOMETRIC.YCBCR: 3}
    colors = wanted.get(photometric, 1)
    if values.shape[-1] < colors:
        raise ValueError(f"{values.shape[-1]} of {colors} colours")
    if values.dtype == bool:
        values = values.astype(np.uint8) * 255
    bits = page.bitspersample if page.bitspersample % 8 else None
    if values.dtype == np.uint8:
        low, high = 0.0, 255.0
    else:
        low, high = value_range(values[..., :colors], bits=bits, stated=_stated(page))
    scaled = _with_alpha(values[..., : colors + bool(page.extrasamples)], colors, low, high)
    if photometric == _PHOTOMETRIC.MINISWHITE:
        scaled[..., :1] = 255 - scaled[..., :1]
    if colors == 4:
        return Image.fromarray(np.ascontiguousarray(scaled[..., :4]), "CMYK")
    if photometric == _PHOTOMETRIC.YCBCR:
        return Image.fromarray(np.ascontiguousarray(scaled[..., :3]), "YCbCr").convert("RGB")
    return _from_bytes(scaled, "L" if colors == 1 else "RGB")


def _with_alpha(values: np.ndarray, colors: int, low: float, high: float) -> np.ndarray:
    """The colours scaled, and alpha, if there is any, by their white or by its type's own."""
    scaled = to_bytes(values[..., :colors], low, high)
    if values.shape[-1] == colors:
        return scaled
    alpha = values[..., colors : colors + 1]
    most = float(alpha.max(initial=0))
    white = high if most <= high else float(np.iinfo(alpha.dtype).max) if _whole(alpha) else most
    return np.concatenate([scaled, to_bytes(alpha, 0.0, white)], axis=-1)


def _from_bytes(values: np.ndarray, mode: str) -> Image.Image:
    """uint8 (H, W, C) as a picture; a sample more than the mode has is alpha."""
    if values.shape[-1] > len(mode):
        mode += "A"
    plain = values[..., 0] if mode == "L" else values
    return Image.fromarray(np.ascontiguousarray(plain), mode)


def _lab(values: np.ndarray, signed: bool) -> Image.Image:
    """L*a*b* in eight bits or sixteen; Pillow wants a* and b* moved up by 128."""
    if values.dtype.kind == "f":
        scaled = np.rint(values[..., :3] * (2.55, 1, 1) + (0, 128, 128)).clip(0, 255)
        return Image.fromarray(scaled.astype(np.uint8), "LAB")
    high = (values[..., :3].astype(np.int64) >> (8 * (values.dtype.itemsize - 1))) & 255
    if signed:
        high[..., 1:] ^= 128
    return Image.fromarray(high.astype(np.uint8), "LAB")


def _whole(values: np.ndarray) -> bool:
    return values.dtype.kind in "iu"


def _stated(page: Any) -> tuple[float, float] | None:
    """The lowest and the highest value that a page's tags name."""
    for first, last in ((_SMIN, _SMAX), (_MIN, _MAX)):
        if (highest := _tag(page, last)) is not None:
            return float(np.min(_tag(page, first) or 0)), float(np.max(highest))
    return None


def _tag(page: Any, number: int) -> Any:
    """A tag's value; None if the page has none of this number."""
    tag = page.tags.get(number)
    return None if tag is None else tag.value


def _significant_bits(png: bytes) -> int | None:
    """The bits of a sample that a PNG's ``sBIT`` says hold anything."""
    at = 8
    while at + 12 <= len(png):
        size, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        if kind == b"sBIT" and 0 < size <= 4:
            return max(png[at + 8 : at + 8 + min(size, 3)])
        if kind == b"IDAT":
            return None
        at += 12 + size
    return None
