"""Pictures of any colour space, with or without an ICC profile, as sRGB."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_SRGB = ImageCms.createProfile("sRGB")
#: Values of 0 to 255 by which a profile may differ from sRGB and is taken for it: many tools
#: write sRGB a little differently.
_SAME = 3


def to_srgb(image: Image.Image, profile: bytes | None, say: Callable[[str], None]) -> Image.Image:
    """A picture of the modes L, RGB, CMYK or LAB as RGB.

    Args:
        profile: its ICC profile; None: sRGB, or Pillow's own conversion to it.
        say: told if the profile cannot be used.
    """
    if profile:
        try:
            return _through(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            say("its colour profile cannot be used, its colours are taken for sRGB")
    if image.mode == "LAB":
        return _through(image, ImageCms.createProfile("LAB"))
    return image.convert("RGB")


def _through(image: Image.Image, profile: Any) -> Image.Image:
    transform = ImageCms.buildTransform(
        profile, _SRGB, image.mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    if image.mode == "RGB" and _is_identity(transform):
        return image  # to the bit
    return ImageCms.applyTransform(image, transform)  # type: ignore[return-value]


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform leaves RGB as it is, but for roundings."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 1, 3)
    after = ImageCms.applyTransform(Image.fromarray(lattice), transform)
    return bool(np.abs(np.asarray(after, np.int16) - lattice).max() <= _SAME)
