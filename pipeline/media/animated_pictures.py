"""Pictures that move: GIF, APNG, WebP and AVIF files of several frames, each with its duration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from fsh.pipeline.media.media_kind import PICTURE, is_video, media_kind
from fsh.schemas.errors import FshError

#: Pillow's names of the formats in which several pictures are a film, and not pages or maps.
_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
#: Milliseconds that a frame is shown that gives none, or one that no player keeps to.
_SHORTEST, _USUAL = 11, 100


def is_moving(path: Path) -> bool:
    """Whether a file is a video by its content, or a picture of several frames."""
    return is_video(path) or is_animated(path)


def is_animated(path: Path) -> bool:
    """Whether a file is a picture of several frames."""
    if media_kind(path) != PICTURE:
        return False
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return getattr(image, "n_frames", 1) > 1
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
        return False


def animated_size(path: Path) -> tuple[int, int, int]:
    """Width and height in pixels of an animated picture, and the number of its frames."""
    with _opened(path) as image:
        return image.width, image.height, image.n_frames  # type: ignore[attr-defined]


def read_animated(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame: seconds from the first, and uint8 (H, W, 3) RGB, on white where it is clear.

    Raises:
        FshError: if it cannot be read to its end.
    """
    time = 0
    with _opened(path) as image:
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            try:
                image.seek(number)
                frame = image.convert("RGBA")
            except (OSError, EOFError, ValueError, SyntaxError) as error:
                raise FshError(f"frame {number} cannot be read ({error})", where=path) from error
            white = Image.new("RGBA", frame.size, "white")
            yield time / 1000, np.asarray(Image.alpha_composite(white, frame).convert("RGB"))
            shown = round(image.info.get("duration") or 0)
            time += shown if shown >= _SHORTEST else _USUAL


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=_FORMATS)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise FshError(f"cannot be read ({error})", where=path) from error
