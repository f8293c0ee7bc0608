"""Data augmentation: pictures changed so that few of them do the work of many.

A photo, moved, stands in for further photos of a person. An episode, mirrored and recolored as a
whole, stands in for further people: with a hundred identities to learn from, networks know each by
heart and draw a stranger as one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from fsh.schemas.clip import FaceClip

#: Largest turn (degrees), change of size (share) and shift (share of the side).
TURN, ZOOM, SHIFT = 10.0, 0.10, 0.06
#: Weights of red, green and blue in a colour's luma (ITU-R BT.601).
_LUMA = np.array([[[0.299, 0.587, 0.114]]])


@dataclass(frozen=True)
class ColorRanges:
    """By how much the colours of an episode are changed at most.

    Attributes:
        gain: of each channel, as a share.
        saturation: as a share.
        brightness: as a share of white.
    """

    gain: float = 0.25
    saturation: float = 0.5
    brightness: float = 0.15


def moved_copies(clip: FaceClip, copies: int, seed: int) -> FaceClip:
    """Each frame of a clip ``copies`` times: turned, scaled and shifted, landmarks and all.

    Pixels from outside repeat the edge, as they do in crops. The head's pose and expression stay
    what they are, so such copies tell whether a person is drawn right where the photo did not show
    them, but nothing about mimics.

    Returns:
        A clip of ``copies × len(clip)`` frames; the same seed gives the same copies.
    """
    rng = np.random.default_rng(seed)
    size = clip.spec.size
    middle = ((size - 1) / 2, (size - 1) / 2)
    frames, points = [], []
    for frame, landmarks in zip(clip.frames, clip.landmarks, strict=True):
        for _ in range(copies):
            turn, zoom = rng.uniform(-TURN, TURN), 1 + rng.uniform(-ZOOM, ZOOM)
            matrix = cv2.getRotationMatrix2D(middle, turn, zoom)
            matrix[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * size
            edge = cv2.BORDER_REPLICATE
            frames.append(
                cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=edge)
            )
            points.append(landmarks @ matrix[:, :2].T + matrix[:, 2])
    count = len(frames)
    return FaceClip(
        name=f"{clip.name}, moved",
        frames=np.stack(frames),
        landmarks=np.stack(points).astype(np.float32),
        times=np.arange(count, dtype=np.float64),
        crops=np.repeat(clip.crops, copies, axis=0),
        spec=clip.spec,
    )


def augment_episodes(
    images: Tensor,
    landmark_images: Tensor,
    seed: tuple[int, ...],
    ranges: ColorRanges = ColorRanges(),
) -> tuple[Tensor, Tensor]:
    """Episodes, each mirrored or not and recolored, all its frames alike.

    A mirrored landmark image has left and right brow and eye exchanged: their colors differ in red
    and green alone (:data:`fsh.trainer.data.landmark_images.POLYLINES`), and the others' have as
    much of both.

    Args:
        images: float (B, K+1, H, H, 3), −1…1.
        landmark_images: float (B, K+1, H, H, 3), 0…1.
        seed: what the choice depends on; the same numbers give the same episodes.

    Returns:
        Both as they came: same shapes, types and ranges.
    """
    random = np.random.default_rng(seed)
    count = len(images)
    mirror = torch.from_numpy(random.random(count) < 0.5).to(images.device)[
        :, None, None, None, None
    ]
    images = torch.where(mirror, images.flip(3), images)
    exchanged = landmark_images.flip(3)[..., [1, 0, 2]]
    landmark_images = torch.where(mirror, exchanged, landmark_images)
    gain = 1 + random.uniform(-ranges.gain, ranges.gain, (count, 3, 1))
    saturation = 1 + random.uniform(-ranges.saturation, ranges.saturation, (count, 1, 1))
    colors = gain * (saturation * np.eye(3) + (1 - saturation) * _LUMA)
    bright = 2 * random.uniform(-ranges.brightness, ranges.brightness, (count, 1, 1, 1, 1))
    matrix = torch.from_numpy(colors).to(images)
    recolored = torch.einsum("bkhwc,bdc->bkhwd", images + 1, matrix) - 1
    return (recolored + torch.from_numpy(bright).to(images)).clamp(-1, 1), landmark_images
