"""Pictures, uint8, to the networks' tensors and back: the only place that knows both scales.

Pictures are uint8 RGB with the channels last. Images are float32 in −1…1, landmark images float32
in 0…1, both with the channels before height and width; in memory the channels stay last, which is
the layout that the convolutions want.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fsh.schemas.places.temporary import replacing


def scale_images(pictures: Tensor) -> Tensor:
    """uint8 values 0…255 to float32 −1…1; axes stay where they are."""
    return pictures.float() / 127.5 - 1


def scale_landmark_images(pictures: Tensor) -> Tensor:
    """uint8 values 0…255 to float32 0…1; axes stay where they are."""
    return pictures.float() / 255


def channels_first(pictures: Tensor) -> Tensor:
    """(…, H, W, C) to (…, C, H, W), a view: in memory the channels stay last."""
    return pictures.movedim(-1, -3)


def to_images(pictures: np.ndarray | Tensor, device: str | torch.device = "cpu") -> Tensor:
    """Pictures uint8 (…, H, W, 3) as images float32 (…, 3, H, W) in −1…1."""
    return channels_first(scale_images(torch.as_tensor(pictures).to(device)))


def to_landmark_images(pictures: np.ndarray | Tensor, device: str | torch.device = "cpu") -> Tensor:
    """Drawn landmarks uint8 (…, H, W, 3) as landmark images float32 (…, 3, H, W) in 0…1."""
    return channels_first(scale_landmark_images(torch.as_tensor(pictures).to(device)))


def to_pictures(images: Tensor) -> np.ndarray:
    """Images (B, 3, H, W) in −1…1, clipped to that, as pictures uint8 (B, H, W, 3)."""
    scaled = (images.float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(0, 2, 3, 1).cpu().numpy()


def landmark_images_to_pictures(landmark_images: Tensor) -> np.ndarray:
    """Landmark images (B, 3, H, W) in 0…1 as pictures uint8 (B, H, W, 3)."""
    return to_pictures(landmark_images * 2 - 1)


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """A square picture uint8 (H, H, 3) at ``size`` pixels: averaged down, or cubic up."""
    how = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(picture, (size, size), interpolation=how)


def picture_grid(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns of pictures uint8 (B, H, W, 3) side by side, one row per picture: (B·H, N·W, 3)."""
    return np.concatenate([np.concatenate(list(column)) for column in columns], axis=1)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture uint8 (H, W, 3) as PNG, whole or not at all."""
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
