"""Fine-tuning on photos (arXiv:1905.08233, section 3.4), one step at a time.

ψ' := P·ê becomes a free parameter, w' := w0 + ê, and ψ, ψ', θ, w' and b are trained without L_MCH.
How many steps are best is found by :mod:`fsh.trainer.person.step_choice`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR

from fsh.trainer.data.pictures import to_pictures
from fsh.trainer.models.networks import Generator
from fsh.trainer.person.photo_tensors import PhotoTensors
from fsh.trainer.runs import TrainedNetworks
from fsh.trainer.training.losses import ContentLoss, Episodes, Terms, windows_if_any
from fsh.trainer.training.objectives import FineTuningObjective

#: Photos per fine-tuning step. Of 8 photos, 120 steps of two made persons as good as 120 steps of
#: four at half the cost; steps of one had worse mouths and eyes.
BATCH = 2
#: Learning rates at the last step, as a share of those of training. At full rates until the end, a
#: person's landmarks came out worse than before any step (docs/results.md, "Trying to lead").
LAST_RATE = 0.02
_DRAWN_AT_ONCE = 4


def linear_decay(optimizers: Sequence[torch.optim.Optimizer], steps: int) -> list[LinearLR]:
    """Schedulers that lower the learning rates linearly to :data:`LAST_RATE` in so many steps."""
    return [LinearLR(one, 1.0, LAST_RATE, total_iters=max(1, steps)) for one in optimizers]


@torch.no_grad()
def mean_embedding(networks: TrainedNetworks, photos: PhotoTensors) -> Tensor:
    """ê (1, N): the mean of E over the photos."""
    return networks.embedder(photos.images, photos.landmark_images).mean(0, keepdim=True)


@dataclass
class FineTuning:
    """Fine-tuning in progress.

    Attributes:
        generator: a copy of the run's generator, being trained.
        coefficients: ψ' (1, ψ̂), being trained.
        step: one update of G and of D; returns D's loss terms.
    """

    generator: Generator
    coefficients: nn.Parameter
    step: Callable[[], Terms]

    @torch.no_grad()
    def draw(self, landmark_images: Tensor) -> np.ndarray:
        """The person as it is now: landmark images (N, 3, H, H) to pictures uint8 (N, H, H, 3)."""
        training = self.generator.training
        self.generator.eval()
        batches = landmark_images.split(_DRAWN_AT_ONCE)
        drawn = [to_pictures(self.generator(some, self.coefficients)) for some in batches]
        self.generator.train(training)
        return np.concatenate(drawn)


def start_fine_tuning(
    networks: TrainedNetworks, photos: PhotoTensors, content: ContentLoss, steps: int
) -> FineTuning:
    """Prepare fine-tuning on these photos: copies of G and D, ψ' and w', and their optimizers.

    Args:
        steps: to be made at most; the learning rates fall linearly until then.
    """
    config = networks.config
    embedding = mean_embedding(networks, photos)
    generator = copy.deepcopy(networks.generator).train()
    discriminator = copy.deepcopy(networks.discriminator).train()
    with torch.no_grad():
        coefficients = nn.Parameter(networks.generator.project(embedding).clone())
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
    rates = linear_decay(adams, steps)
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
            nothing,
            nothing,
            some.images,
            some.landmark_images,
            torch.tensor(chosen),
            meshes=some.meshes,
            real=windows_if_any(some.real),
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
