"""Data augmentation: episodes changed so that few people do the work of many.

An episode, mirrored and recolored as a whole, stands in for further people: with a hundred
identities to learn from, networks know each by heart and draw a stranger as one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fsh.schemas.faces.mesh import LANDMARK_MIRROR, MESH_MIRROR, MESH_POINTS

#: Weights of red, green and blue in a colour's luma (ITU-R BT.601).
_LUMA = np.array([[[0.299, 0.587, 0.114]]])


@dataclass(frozen=True)
class ColorRanges:
    """By how much the colours of an episode are changed at most.

    Attributes:
        gain: of each channel, as a share.
        saturation: as a share.
        brightness: as a share of white.
        grey: share of the episodes that have no colors at all: old photos have none, and what is
            painted in them should have none either.
    """

    gain: float = 0.25
    saturation: float = 0.5
    brightness: float = 0.15
    grey: float = 0.1


def augment_episodes(
    images: Tensor,
    landmark_images: Tensor,
    seed: tuple[int, ...],
    ranges: ColorRanges = ColorRanges(),
    points: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Episodes, each mirrored or not and recolored, all its frames alike.

    A mirrored landmark image has left and right brow and eye exchanged: their colors differ in red
    and green alone (:data:`fsh.trainer.data.landmark_images.POLYLINES`), and the others' have as
    much of both.

    Args:
        images: float (B, K+1, H, H, 3), −1…1.
        landmark_images: float (B, K+1, H, H, 3), 0…1.
        seed: what the choice depends on; the same numbers give the same episodes.
        points: float (B, K+1, 478, 3) or (B, K+1, 68, 2), in shares of the crop, or None.

    Returns:
        All as they came: same shapes, types and ranges.
    """
    random = np.random.default_rng(seed)
    count = len(images)
    mirrored = torch.from_numpy(_mirrored(random, count)).to(images.device)
    mirror = mirrored[:, None, None, None, None]
    if points is not None:
        points = torch.where(mirrored[:, None, None, None], mirrored_points(points), points)
    images = torch.where(mirror, images.flip(3), images)
    exchanged = landmark_images.flip(3)[..., [1, 0, 2]]
    landmark_images = torch.where(mirror, exchanged, landmark_images)
    gain = 1 + random.uniform(-ranges.gain, ranges.gain, (count, 3, 1))
    saturation = 1 + random.uniform(-ranges.saturation, ranges.saturation, (count, 1, 1))
    bright = 2 * random.uniform(-ranges.brightness, ranges.brightness, (count, 1, 1, 1, 1))
    grey = (random.random(count) < ranges.grey)[:, None, None]
    gain, saturation = np.where(grey, gain[:, :1], gain), np.where(grey, 0, saturation)
    colors = gain * (saturation * np.eye(3) + (1 - saturation) * _LUMA)
    matrix = torch.from_numpy(colors).to(images)
    recolored = torch.einsum("bkhwc,bdc->bkhwd", images + 1, matrix) - 1
    images = (recolored + torch.from_numpy(bright).to(images)).clamp(-1, 1)
    return images, landmark_images, points


def _mirrored(random: np.random.Generator, count: int) -> np.ndarray:
    """bool (count,): which episodes are mirrored; what is drawn of ``random`` first."""
    return random.random(count) < 0.5


def augment_windows(real: Tensor, seed: tuple[int, ...]) -> Tensor:
    """Parts of images (B, K+1, 4), mirrored where :func:`augment_episodes` mirrors the images.

    Args:
        real: left, top, right, bottom edges in shares of the image.
        seed: that of the images.
    """
    mirrored = torch.from_numpy(_mirrored(np.random.default_rng(seed), len(real)))
    left, top, right, bottom = real.unbind(-1)
    other = torch.stack([1 - right, top, 1 - left, bottom], dim=-1)
    return torch.where(mirrored.to(real.device)[:, None, None], other, real)


def mirrored_points(points: Tensor) -> Tensor:
    """Meshes (…, 478, 3) or landmarks (…, 68, 2), in shares, as they are of mirrored pictures."""
    order = MESH_MIRROR if points.shape[-2] == MESH_POINTS else LANDMARK_MIRROR
    same = points[..., torch.from_numpy(order).to(points.device), :]
    return torch.cat([1 - same[..., :1], same[..., 1:]], dim=-1)
