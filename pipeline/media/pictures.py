"""Reading picture files: every common format, upright, as RGB; broken files are refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fsh.pipeline.media.suffixes import PHOTO_SUFFIXES
from fsh.schemas.errors import FshError

# pi-heif only decodes; pillow-heif's wheels carry x265, which is GPL.
try:
    import pi_heif
except ImportError:
    HEIF_INSTALLED = False
else:
    pi_heif.register_heif_opener()
    HEIF_INSTALLED = True

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
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PHOTO_SUFFIXES | also and not path.name.startswith(".")
    )
    if not found:
        raise FshError(
            "no photos in this folder",
            where=folder,
            remedy="put 1 to 32 JPEG, PNG or WebP photos of one person there",
        )
    return found


def read_photo(path: Path, *, heif: bool = HEIF_INSTALLED) -> np.ndarray:
    """A picture as uint8 (H, W, 3) RGB, rotated as its EXIF says, on white where transparent.

    Args:
        heif: whether HEIC files can be read; if not, the error says which extra to install.

    Raises:
        FshError: a missing, broken, oversized or unreadable file.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels, which phones reach, and refuses from 179.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _to_rgb(ImageOps.exif_transpose(image))
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
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # all of them Pillow's
        raise FshError(
            f"the picture cannot be read ({error})", where=path, remedy="save it again or drop it"
        ) from error


def _is_heif(path: Path) -> bool:
    """Whether a file's first bytes are those of a HEIC or HEIF picture."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Any mode of Pillow's as uint8 (H, W, 3); transparent pixels become white."""
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit grey; Pillow would clip it
        values = np.asarray(image, np.float32)
        top = 65535 if values.max(initial=0) > 255 else 255
        gray = (values * (255 / top)).clip(0, 255).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        front = image.convert("RGBA")
        back = Image.new("RGBA", front.size, "white")
        image = Image.alpha_composite(back, front)
    return np.array(image.convert("RGB"))
