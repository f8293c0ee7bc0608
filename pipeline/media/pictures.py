"""Reading picture files: every common format, upright, as sRGB; broken files are refused.

The one reader of pictures: photos, frames of a driver, paste-back targets, pictures to verify.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from fsh.pipeline.media.color_profiles import to_srgb
from fsh.pipeline.media.deep_pictures import read_deep_png, read_deep_tiff
from fsh.pipeline.media.media_kind import PICTURE, media_kind
from fsh.pipeline.media.suffixes import PHOTO_SUFFIXES
from fsh.pipeline.media.value_range import to_bytes, value_range
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import file_error
from fsh.schemas.text import shown

# pi-heif only decodes; pillow-heif's wheels carry x265, which is GPL.
try:
    import pi_heif
except ImportError:
    HEIF_INSTALLED = False
else:
    pi_heif.register_heif_opener()
    HEIF_INSTALLED = True

#: Values by which nearly everything in a picture is darker, or brighter.
_BLACK, _WHITE = 40, 230
#: Formats with several pictures in a file of which all but the first are its thumbnails and maps.
_ONE_PICTURE = ("MPO", "HEIF", "AVIF")
#: Formats that are programs, which Pillow has run by others that are installed.
_BY_OTHERS = ("EPS", "WMF")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


def photo_paths(folder: Path, also: frozenset[str] = frozenset()) -> list[Path]:
    """The pictures of a folder in the order of their names; one picture's path gives itself.

    Args:
        also: further file name endings to accept, such as those of videos.

    Raises:
        FshError: if there is no such folder, or no picture in it.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise FshError("no such folder", where=folder, remedy="give a folder of 1 to 32 photos")
    try:
        found = sorted(path for path in folder.iterdir() if _is_candidate(path, also))
    except OSError as error:
        raise file_error(error, folder) from error
    if not found:
        raise FshError(
            "no photos in this folder",
            where=folder,
            remedy="put 1 to 32 JPEG, PNG or WebP photos of one person there",
        )
    return found


def _is_candidate(path: Path, also: frozenset[str]) -> bool:
    """Whether a file is a picture by its name or by its content; hidden files are left out."""
    if path.name.startswith(".") or not path.is_file():
        return False
    return path.suffix.lower() in PHOTO_SUFFIXES | also or media_kind(path) == PICTURE


def read_photo(
    path: Path,
    *,
    heif: bool = HEIF_INSTALLED,
    upright: bool = True,
    say: Callable[[str], None] | None = None,
) -> np.ndarray:
    """A picture as uint8 (H, W, 3) RGB in sRGB, rotated as its EXIF says, white where transparent.

    Samples of more than eight bits, floats and colour profiles are brought to that; of several
    pages it is the first.

    Args:
        heif: whether HEIC files can be read; if not, the error says which extra to install.
        upright: whether to rotate as EXIF says.
        say: told what there is to say about the picture, each in a line with its name: further
            pages, a profile that cannot be used, a picture that is nearly black or white.

    Raises:
        FshError: a missing, broken, oversized or unreadable file.
    """
    lines: list[str] = []
    if path.exists() and not path.is_file():  # a pipe would be waited for
        what = "a folder, not a picture" if path.is_dir() else "not a file"
        raise FshError(what, where=path, remedy="give the path of a picture")
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels, which phones reach, and refuses from 179.
            warnings.simplefilter("ignore")
            pixels = _read(path, upright, lines.append)
    except Image.DecompressionBombError as error:
        raise FshError(
            "the picture is too large to open safely", where=path, remedy="scale it down"
        ) from error
    except UnidentifiedImageError as error:
        if not heif and _is_heif(path):
            raise FshError(
                "HEIC needs an extra",
                where=path,
                remedy='pip install "fsh[heic]", or export it as JPEG',
            ) from error
        raise FshError(
            "not a picture, or one in an unknown format", where=path, remedy="save it as JPEG"
        ) from error
    except OSError as error:
        if error.errno:
            raise file_error(error, path) from error
        raise _unreadable(path, error) from error
    except (SyntaxError, ValueError, EOFError, MemoryError) as error:  # all of them Pillow's
        raise _unreadable(path, error) from error
    lines += [] if (dim := _exposure(pixels)) is None else [dim]
    for line in lines if say else ():
        say(f"{shown(path.name)}: {line}")  # type: ignore[misc]
    return pixels


def _unreadable(path: Path, error: BaseException) -> FshError:
    return FshError(
        f"the picture cannot be read ({error})", where=path, remedy="save it again or drop it"
    )


def _is_heif(path: Path) -> bool:
    """Whether a file's first bytes are those of a HEIC or HEIF picture."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _read(path: Path, upright: bool, say: Callable[[str], None]) -> np.ndarray:
    """The pixels; Pillow's errors are raised as they are."""
    refused = None
    try:
        deep = read_deep_tiff(path)
    except ValueError as error:  # Pillow may know more
        deep, refused = None, error
    try:
        image = Image.open(path, formats=_formats())
    except UnidentifiedImageError:
        if deep is None and (deep := read_deep_tiff(path, any_depth=True)) is None:
            raise
        turned = _turned(deep, deep.info["orientation"] if upright else 1)
        return _to_rgb(turned, deep.info["icc_profile"], say)
    with image:
        if refused is not None and image.mode in ("RGB", "RGBA"):
            raise refused  # Pillow would take the upper bits alone
        if image.format == "PNG":
            deep = read_deep_png(path)
        pages = getattr(image, "n_frames", 1)
        if pages > 1 and image.format not in _ONE_PICTURE:
            say(f"{pages} pictures in one file, the first is used")
        if deep is None:
            try:
                image.load()
            except (OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno:
                    raise
                if (deep := read_deep_tiff(path, any_depth=True)) is None:
                    raise
        plain, profile = deep or image, image.info.get("icc_profile")
        orientation = image.getexif().get(_ORIENTATION, 1) if upright else 1
        plain = _turned(plain, orientation)
        return _to_rgb(plain, profile, say)


def _formats() -> list[str]:
    """What Pillow reads by itself."""
    Image.init()
    return [name for name in Image.OPEN if name not in _BY_OTHERS]


def _turned(image: Image.Image, orientation: object) -> Image.Image:
    """A picture turned and mirrored as EXIF's number for it says."""
    how = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if how is None else image.transpose(how)


def _to_rgb(image: Image.Image, profile: bytes | None, say: Callable[[str], None]) -> np.ndarray:
    """Any mode of Pillow's as uint8 (H, W, 3); transparent pixels become white."""
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit grey; Pillow would clip it
        values = np.asarray(image)
        image = Image.fromarray(to_bytes(values, *value_range(values)))
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        front = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        alpha = front.getchannel("A")
        image = front.convert("L" if front.mode == "LA" else "RGB")
    elif image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    color = to_srgb(image, profile, say)
    if alpha is not None:
        back = Image.new("RGBA", color.size, "white")
        color.putalpha(alpha)
        color = Image.alpha_composite(back, color).convert("RGB")
    return np.array(color)


def _exposure(pixels: np.ndarray) -> str | None:
    """That a picture is nearly black or white, if it is."""
    small = pixels[:: max(1, pixels.shape[0] // 256), :: max(1, pixels.shape[1] // 256)]
    if small.size and np.percentile(small, 99) < _BLACK:
        return "the picture is nearly black"
    if small.size and np.percentile(small, 1) > _WHITE:
        return "the picture is nearly white"
    return None
