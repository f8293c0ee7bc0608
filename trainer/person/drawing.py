"""Drawing a person, finished or still being fine-tuned: faces as points to pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.spec import FaceSpec
from fsh.trainer.config import NetworkConfig
from fsh.trainer.data.landmark_images import irises_to_draw
from fsh.trainer.data.pictures import to_pictures
from fsh.trainer.models.composition import compose
from fsh.trainer.person.photo_references import PhotoReferences
from fsh.trainer.person.photo_tensors import landmark_image_tensors

#: Landmark images (B, 3, H, H) to images, or with references (the second argument) to an answer.
DrawingNetwork = Callable[..., Any]


def picture_side(network: NetworkConfig, references: PhotoReferences | None) -> int:
    """Side of a person's pictures, pixels: the photos' own with references, else the network's."""
    return network.size if references is None else references.side


@torch.inference_mode()
def draw_faces(
    draw: DrawingNetwork,
    faces: FaceLandmarks,
    spec: FaceSpec,
    network: NetworkConfig,
    references: PhotoReferences | None,
    *,
    chosen: Tensor | None = None,
    device: str = "cpu",
    batch: int = 8,
) -> np.ndarray:
    """Draw N faces in batches.

    Args:
        faces: without gaps, in crop pixels.
        references: the photos to copy from, if the network takes some.
        chosen: int64 (N, K), which of them for each face; None: as fits one after the other.
        batch: pictures per pass.

    Returns:
        uint8 (N, S, S, 3), S = :func:`picture_side`.
    """
    side = picture_side(network, references)
    pictures = [np.empty((0, side, side, 3), np.uint8)]
    targets: Tensor | None = None
    irises = irises_to_draw(faces.mesh, spec)
    if references is not None:
        targets = references.targets(faces, spec.size)
        if chosen is None:
            chosen = references.choose(targets, network.references)
    for start in range(0, len(faces), batch):
        rows = slice(start, start + batch)
        eyes = None if irises is None else irises[rows]
        lines = landmark_image_tensors(faces.points[rows], spec.size, network.size, device, eyes)
        if references is None or targets is None or chosen is None:
            pictures.append(to_pictures(draw(lines)))
            continue
        bent = references.prepared(targets[rows], chosen[rows], network.size).trimmed()
        made = compose(draw(lines, bent), bent, bent.mouth.window(side))
        pictures.append(to_pictures(made.picture))
    return np.concatenate(pictures)
