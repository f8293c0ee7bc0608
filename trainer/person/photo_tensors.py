"""A person's photos as the networks take them: pictures and landmark images, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from fsh.schemas.errors import FshError
from fsh.schemas.faces.clip import FaceClip
from fsh.trainer.config import NetworkConfig
from fsh.trainer.data.landmark_images import (
    draw_landmarks,
    in_shares,
    irises_to_draw,
    rescale_landmarks,
)
from fsh.trainer.data.pictures import resized, to_images, to_landmark_images
from fsh.trainer.models.references import Photos

#: Photos used at most; more are thinned out evenly over the clip.
MAX_PHOTOS = 32
#: With fewer photos than this, moved copies of them are trained on too.
FEW_PHOTOS = 4


@dataclass(frozen=True)
class PhotoTensors:
    """Photos as the networks take them.

    Attributes:
        images: float32 (T, 3, P, P), −1…1; P is H, or larger with references.
        landmark_images: float32 (T, 3, H, H), 0…1.
        real: float32 (T, 4), the part of each image that shows the photo, in shares of it: left,
            top, right, bottom edges.
        points: float32 (T, 478, 3), meshes, or (T, 68, 2), landmarks; in shares of the crop.
        originals: how many of them, the first, are photos; the others are copies of these.
        origins: int64 (T,), the number of the photo that each is or is a copy of.
    """

    images: Tensor
    landmark_images: Tensor
    real: Tensor
    points: Tensor
    originals: int
    origins: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def ready(self) -> Photos:
        """The photos ready to be bent, for a network of the landmark images' side."""
        return Photos.of(self.images, self.points, self.landmark_images.shape[-1], self.real)

    def __getitem__(self, which: list[int]) -> PhotoTensors:
        """Some of the photos, as photos of their own."""
        drawn, real = self.landmark_images[which], self.real[which]
        return photos_of(self.images[which], drawn, real, self.points[which])


def landmark_image_tensors(
    landmarks: np.ndarray,
    crop: int,
    size: int,
    device: str = "cpu",
    irises: np.ndarray | None = None,
) -> Tensor:
    """Landmarks (N, 68, 2) of ``crop``-pixel crops as landmark images (N, 3, size, size), 0…1.

    Args:
        irises: (N, 2, 2), of :func:`~fsh.trainer.data.landmark_images.irises_to_draw`.
    """
    eyes = None if irises is None else rescale_landmarks(irises, crop, size)
    drawn = draw_landmarks(rescale_landmarks(landmarks, crop, size), size, irises=eyes)
    return to_landmark_images(drawn, device)


def photo_tensors(
    clip: FaceClip, network: NetworkConfig, device: str = "cpu"
) -> tuple[PhotoTensors, FaceClip]:
    """The photos that have a face, at most :data:`MAX_PHOTOS`, for a network.

    Returns:
        The tensors, and the same photos as a clip.

    Raises:
        FshError: if no photo has landmarks.
    """
    found = np.flatnonzero(clip.found)
    if not len(found):
        raise FshError(
            "no face found in any photo",
            where=clip.name,
            remedy="use photos that show the face from the front",
        )
    if len(found) > MAX_PHOTOS:
        found = found[np.linspace(0, len(found) - 1, MAX_PHOTOS).round().astype(int)]
    kept = clip.take(found)
    size, crop = network.picture_size, clip.spec.size
    small = np.stack([resized(frame, size) for frame in kept.frames])
    irises = irises_to_draw(kept.mesh, clip.spec)
    drawn = landmark_image_tensors(kept.landmarks, crop, network.size, device, irises)
    points = in_shares(kept.landmarks if kept.mesh is None else kept.mesh, crop)
    real, where = torch.from_numpy(real_shares(kept)), torch.from_numpy(points)
    tensors = photos_of(to_images(small, device), drawn, real.to(device), where.to(device))
    return tensors, kept


def photos_of(
    images: Tensor, landmark_images: Tensor, real: Tensor, points: Tensor
) -> PhotoTensors:
    """Photos without copies."""
    count = len(images)
    return PhotoTensors(images, landmark_images, real, points, count, torch.arange(count))


def real_shares(clip: FaceClip) -> np.ndarray:
    """float32 (N, 4): ``clip.real`` in shares of the crop; all of it where that is not known."""
    if clip.real is None:
        return np.tile(np.array([0, 0, 1, 1], np.float32), (len(clip), 1))
    return clip.real / np.float32(clip.spec.size)
