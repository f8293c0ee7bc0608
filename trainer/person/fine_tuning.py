"""Fine-tuning on photos (the paper's section 3.4): what the networks see, and one step of it.

ψ' := P·ê becomes a free parameter, w' := w0 + ê, and ψ, ψ', θ, w' and b are trained without L_MCH.
How many steps are good is :mod:`fsh.trainer.person.step_choice`'s business.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.trainer.data.landmark_images import draw_landmarks, rescale_landmarks
from fsh.trainer.data.pictures import to_images, to_landmark_images
from fsh.trainer.models.networks import Generator
from fsh.trainer.runs import TrainedNetworks
from fsh.trainer.training.losses import ContentLoss, Episodes, Terms
from fsh.trainer.training.objectives import FineTuningObjective

#: Photos used at most; more are thinned out evenly over the clip.
MAX_PHOTOS = 32
#: With fewer photos than this, copies of them that are moved are trained on too.
FEW = 4
#: Photos per fine-tuning step. Of 8 photos, 120 steps of two made persons as good as 120 steps of
#: four at half the cost; steps of one had worse mouths and eyes.
BATCH = 2
#: Learning rates at the last step, as a share of those of training. At full rates until the end, a
#: person's landmarks came out worse than before any step (docs/results.md, "Trying to lead").
LAST_RATE = 0.02


def falling(adams: Sequence[torch.optim.Optimizer], steps: int) -> list[LinearLR]:
    """What lowers the learning rates linearly to :data:`LAST_RATE` in so many steps."""
    return [LinearLR(adam, 1.0, LAST_RATE, total_iters=max(1, steps)) for adam in adams]


@dataclass(frozen=True)
class Photos:
    """Photos as the networks see them: (T, 3, H, H), images in −1…1, landmark images in 0…1."""

    images: Tensor
    landmark_images: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: list[int]) -> Photos:
        return Photos(self.images[which], self.landmark_images[which])


def lines_of(landmarks: np.ndarray, crop: int, size: int, device: str = "cpu") -> Tensor:
    """Landmarks (N, 68, 2) of ``crop``-pixel crops as landmark images (N, 3, size, size)."""
    return to_landmark_images(
        draw_landmarks(rescale_landmarks(landmarks, crop, size), size), device
    )


def prepare(clip: FaceClip, size: int, device: str = "cpu") -> tuple[Photos, FaceClip]:
    """The photos that have a face, thinned out to :data:`MAX_PHOTOS`, for a network of ``size``.

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
    images = to_images(small, device)
    return Photos(images, lines_of(kept.landmarks, clip.spec.size, size, device)), kept


@torch.no_grad()
def embedding_of(trained: TrainedNetworks, photos: Photos) -> Tensor:
    """ê (1, N): the mean of E over the photos."""
    return trained.embedder(photos.images, photos.landmark_images).mean(0, keepdim=True)


@dataclass
class FineTuning:
    """One fine-tuning run in memory: copies of G and D, ψ' and w', and their optimizers."""

    generator: Generator
    coefficients: nn.Parameter
    step: Callable[[], Terms]


def fine_tuning(
    trained: TrainedNetworks, photos: Photos, content: ContentLoss, steps: int
) -> FineTuning:
    """Set up fine-tuning on these photos; each ``step()`` is one update of G and of D.

    Args:
        steps: to be made at most; the learning rates fall linearly until then.
    """
    config = trained.config
    embedding = embedding_of(trained, photos)
    generator = copy.deepcopy(trained.generator).train()
    discriminator = copy.deepcopy(trained.discriminator).train()
    with torch.no_grad():
        coefficients = nn.Parameter(trained.generator.project(embedding).clone())
    column = nn.Parameter(embedding.clone())
    objective = FineTuningObjective(
        generator, discriminator, coefficients, column, content, config.loss
    )
    rest = [p for name, p in generator.named_parameters() if "project" not in name]
    adams = [
        torch.optim.Adam(parameters, lr=rate, betas=config.betas, eps=config.epsilon, fused=True)
        for parameters, rate in (
            ([*rest, coefficients], config.lr_generator),
            ([*discriminator.parameters(), column], config.lr_discriminator),
        )
    ]
    rates = falling(adams, steps)
    losses: list[Callable[[Episodes, Terms | None], Terms]] = [
        objective.generator,
        objective.discriminator,
    ]
    order = np.random.default_rng(config.seed)
    queue: list[int] = []
    count = min(BATCH, len(photos))

    def step() -> Terms:
        while len(queue) < count:
            queue.extend(order.permutation(len(photos)).tolist())
        chosen = [queue.pop(0) for _ in range(count)]
        some = photos[chosen]
        nothing = some.images[:, None]
        episodes = Episodes(
            nothing, nothing, some.images, some.landmark_images, torch.tensor(chosen)
        )
        made: Terms | None = None
        for loss, adam, rate in zip(losses, adams, rates, strict=True):
            made = loss(episodes, made)
            made.total.backward()
            adam.step()
            rate.step()
            adam.zero_grad(set_to_none=True)
        assert made is not None
        return made

    return FineTuning(generator, coefficients, step)
