"""Episodes changed so that few people do the work of many.

An episode, mirrored and recolored as a whole, stands in for further people: with a hundred
identities to learn from, networks know each by heart and draw a stranger as one of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: An episode's colors: largest change of each channel's gain, of the saturation, of brightness
#: (share of white).
GAIN, SATURATION, BRIGHTNESS = 0.25, 0.5, 0.15
_LUMA = np.array([[[0.299, 0.587, 0.114]]])


def varied(images: Tensor, landmarks: Tensor, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Episodes, each mirrored or not and recolored, all its frames alike.

    A mirrored landmark image has left and right brow and eye exchanged: their colors differ in red
    and green alone (:data:`fsh.trainer.data.landmark_images.GROUPS`), and the others' have as much
    of both.

    Args:
        images: float (B, K+1, H, H, 3), −1…1.
        landmarks: float (B, K+1, H, H, 3), 0…1.
        seed: what the choice depends on; the same numbers give the same episodes.
    """
    random = np.random.default_rng(seed)
    count = len(images)
    mirror = torch.from_numpy(random.random(count) < 0.5).to(images.device)[
        :, None, None, None, None
    ]
    images = torch.where(mirror, images.flip(3), images)
    exchanged = landmarks.flip(3)[..., [1, 0, 2]]
    landmarks = torch.where(mirror, exchanged, landmarks)
    gain = 1 + random.uniform(-GAIN, GAIN, (count, 3, 1))
    saturation = 1 + random.uniform(-SATURATION, SATURATION, (count, 1, 1))
    colors = gain * (saturation * np.eye(3) + (1 - saturation) * _LUMA)
    bright = 2 * random.uniform(-BRIGHTNESS, BRIGHTNESS, (count, 1, 1, 1, 1))
    matrix = torch.from_numpy(colors).to(images)
    recolored = torch.einsum("bkhwc,bdc->bkhwd", images + 1, matrix) - 1
    return (recolored + torch.from_numpy(bright).to(images)).clamp(-1, 1), landmarks
