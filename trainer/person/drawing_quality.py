"""How good drawings of a person are: who they show, and whether they move as the landmarks ask.

Pictures are uint8 (N, H, H, 3); landmarks are (N, 68, 2) in pixels of the data set's crop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fsh.schemas.faces.clip import FaceClip
from fsh.trainer.data.pictures import resized
from fsh.trainer.face_analyzer import FaceAnalyzer
from fsh.trainer.models.networks import Generator
from fsh.trainer.models.references import References
from fsh.trainer.person.expressions import expressions
from fsh.trainer.person.person import Person
from fsh.trainer.person.photo_tensors import PhotoTensors
from fsh.trainer.training.losses import ContentLoss, Episodes, generate, real_only

#: Photos that :func:`photo_similarity` redraws, at most.
_REDRAWN = 8


def identity_similarity(
    draw: Callable[[np.ndarray], np.ndarray],
    landmarks: np.ndarray,
    identity: np.ndarray,
    size: int,
    analyzer: FaceAnalyzer,
) -> float:
    """Mean cosine of the drawings' identity embeddings with that of the photos, −1…1.

    The drawings have these landmarks, so none need be found in them.

    Args:
        draw: landmarks to pictures.
        landmarks: (N, 68, 2), what to draw.
        identity: (D,), the photos' mean embedding.
        size: of the crop, pixels.
    """
    embeddings = analyzer.embed(_at_crop_size(draw(landmarks), size), landmarks)
    norms = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(identity)
    return float(np.mean(embeddings @ identity / norms))


def photo_similarity(person: Person, photos: FaceClip, analyzer: FaceAnalyzer) -> float | None:
    """Mean cosine of the photos' embedding with those of their own redrawings; None if unknown.

    By dlib's network, two people's embeddings are alike already (about 0.8): the scale is not that
    of the paper's CSIM.

    Args:
        photos: with ``embedding``, or there is nothing to compare with. The first eight that show
            a face are redrawn.
    """
    if photos.embedding is None:
        return None
    landmarks = photos.landmarks[np.flatnonzero(photos.found)[:_REDRAWN]]
    pictures = _at_crop_size(person.draw(landmarks), person.spec.size)
    cosines = []
    for picture, points in zip(pictures, landmarks, strict=True):
        embedding = analyzer.embed(picture[None], points[None])[0]
        norms = np.linalg.norm(embedding) * np.linalg.norm(photos.embedding)
        cosines.append(float(embedding @ photos.embedding / norms))
    return float(np.mean(cosines))


def motion_fidelity(
    draw: Callable[[np.ndarray], np.ndarray],
    shape: np.ndarray,
    size: int,
    analyzer: FaceAnalyzer,
) -> float:
    """How much of the motion that the landmarks ask for is drawn: 0 none of it, 1 all of it.

    Expressions are drawn and the landmarks found again in the drawings. A face that is not found
    counts as one that did not move.

    Args:
        draw: landmarks to pictures.
        shape: (68, 2), the person's neutral landmarks.
        size: of the crop, pixels.

    Returns:
        The mean over the expressions of found · asked / asked · asked, each kept within 0…1, where
        both are the landmarks' motion from the neutral shape.
    """
    asked = expressions(shape)
    landmarks = np.stack([shape, *(e.landmarks for e in asked)]).astype(np.float32)
    # Landmark detectors want faces of 100 px and more.
    found = analyzer.find_landmarks(_at_crop_size(draw(landmarks), size), landmarks)
    shares = []
    for expression, points in zip(asked, found[1:], strict=True):
        wanted = (expression.landmarks - shape)[expression.measured]
        moved = (points - found[0])[expression.measured]
        share = float((wanted * moved).sum() / (wanted**2).sum())
        shares.append(min(1.0, max(0.0, share)) if np.isfinite(share) else 0.0)
    return float(np.mean(shares))


@torch.no_grad()
def content_loss(
    generator: Generator,
    coefficients: Tensor,
    photos: PhotoTensors,
    content: ContentLoss,
    references: References | None = None,
) -> float:
    """L_CNT of photos redrawn from their own landmarks.

    Args:
        coefficients: ψ (1, ψ̂).
        references: what the generator copies from for each photo, if it does.
    """
    training = generator.training
    nothing = photos.images[:, None]
    drawn, rows = photos.landmark_images, torch.arange(len(photos))
    episodes = Episodes(nothing, nothing, photos.images, drawn, rows, references)
    made, _ = generate(generator.eval(), episodes, coefficients)
    fake = real_only(made, photos.images, photos.real)
    generator.train(training)
    return float(sum(content(fake, photos.images, photos.landmark_images).values()))


def _at_crop_size(pictures: np.ndarray, size: int) -> np.ndarray:
    return np.stack([resized(picture, size) for picture in pictures])
