"""A person's photos as the networks take them: pictures and landmark images, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.trainer.data.landmark_images import draw_landmarks, rescale_landmarks, rescale_mesh
from fsh.trainer.data.pictures import to_images, to_landmark_images

#: Photos used at most; more are thinned out evenly over the clip.
MAX_PHOTOS = 32
#: With fewer photos than this, moved copies of them are trained on too.
FEW_PHOTOS = 4


@dataclass(frozen=True)
class PhotoTensors:
    """Photos as the networks take them.

    Attributes:
        images: float32 (T, 3, H, H), −1…1.
        landmark_images: float32 (T, 3, H, H), 0…1.
        real: float32 (T, 4), the part of each image that shows the photo, in shares of it: left,
            top, right, bottom edges.
        meshes: float32 (T, 478, 3), pixels of the images; None if the landmark backend gives none.
    """

    images: Tensor
    landmark_images: Tensor
    real: Tensor
    meshes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: list[int]) -> PhotoTensors:
        meshes = None if self.meshes is None else self.meshes[which]
        return PhotoTensors(
            self.images[which], self.landmark_images[which], self.real[which], meshes
        )


def landmark_image_tensors(
    landmarks: np.ndarray, crop: int, size: int, device: str = "cpu"
) -> Tensor:
    """Landmarks (N, 68, 2) of ``crop``-pixel crops as landmark images (N, 3, size, size), 0…1."""
    drawn = draw_landmarks(rescale_landmarks(landmarks, crop, size), size)
    return to_landmark_images(drawn, device)


def photo_tensors(clip: FaceClip, size: int, device: str = "cpu") -> tuple[PhotoTensors, FaceClip]:
    """The photos that have a face, at most :data:`MAX_PHOTOS`, for a network of ``size`` pixels.

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
    how = cv2.INTER_AREA if size < clip.spec.size else cv2.INTER_CUBIC
    small = np.stack([cv2.resize(f, (size, size), interpolation=how) for f in kept.frames])
    drawn = landmark_image_tensors(kept.landmarks, clip.spec.size, size, device)
    meshes = None
    if kept.mesh is not None:
        rescaled = rescale_mesh(kept.mesh, clip.spec.size, size)
        meshes = torch.from_numpy(rescaled).to(device)
    real = torch.from_numpy(_real_shares(kept)).to(device)
    return PhotoTensors(to_images(small, device), drawn, real, meshes), kept


def _real_shares(clip: FaceClip) -> np.ndarray:
    """See :attr:`PhotoTensors.real`; all of it where that is not known."""
    if clip.real is None:
        return np.tile(np.array([0, 0, 1, 1], np.float32), (len(clip), 1))
    return clip.real / np.float32(clip.spec.size)
