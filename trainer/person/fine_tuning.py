"""Fine-tuning on photos (arXiv:1905.08233, section 3.4), one step at a time.

ψ' := P·ê becomes a free parameter, w' := w0 + ê, and ψ, ψ', θ, w' and b are trained without L_MCH.
How many steps are best is found by :mod:`fsh.trainer.person.step_choice`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR

from fsh.schemas.faces.mesh import MESH_POINTS
from fsh.trainer.config import NetworkConfig
from fsh.trainer.models.networks import Generator
from fsh.trainer.models.references import References, at_side, nearest_photos, prepare
from fsh.trainer.person.drawing import DrawingNetwork
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


def linear_decay(optimizers: Sequence[torch.optim.Optimizer], steps: int) -> list[LinearLR]:
    """Schedulers that lower the learning rates linearly to :data:`LAST_RATE` in so many steps."""
    return [LinearLR(one, 1.0, LAST_RATE, total_iters=max(1, steps)) for one in optimizers]


@torch.no_grad()
def mean_embedding(networks: TrainedNetworks, photos: PhotoTensors) -> Tensor:
    """ê (1, N): the mean of E over the photos, without their copies."""
    drawn = photos.landmark_images[: photos.originals]
    images = at_side(photos.images[: photos.originals], drawn.shape[-1])
    return networks.embedder(images, drawn).mean(0, keepdim=True)


def only_mouth_learns(photos: PhotoTensors, network: NetworkConfig) -> bool:
    """Whether there is nothing to learn but how the mouth opens.

    A single photo that is copied from, and its copies, are drawn from one another: the rest of the
    generator would learn nothing new of them and forget how to copy. Without a mesh no mouth is
    painted, and everything learns.
    """
    meshed = photos.points.shape[-2] == MESH_POINTS
    return bool(network.references) and meshed and photos.originals == 1


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

    @contextmanager
    def drawing(self) -> Iterator[DrawingNetwork]:
        """The generator as it is now, for :func:`~fsh.trainer.person.drawing.draw_faces`."""
        training = [part for part in self.generator.modules() if part.training]
        self.generator.eval()
        try:
            yield lambda *given: self.generator(given[0], self.coefficients, *given[1:])
        finally:
            for part in training:  # which may be the mouth alone
                part.training = True


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
    if generator.mouth is not None and only_mouth_learns(photos, config.network):
        generator.eval().requires_grad_(False)
        coefficients.requires_grad_(False)
        generator.mouth.train().requires_grad_(True)
    rest = [p for name, p in generator.named_parameters() if "project" not in name]
    learned = [p for p in [*rest, coefficients] if p.requires_grad]
    adams = [
        torch.optim.Adam(parameters, lr=rate, betas=config.betas, eps=config.epsilon, fused=True)
        for parameters, rate in (
            (learned, config.lr_generator),
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
            source_images=nothing,
            source_landmark_images=nothing,
            images=some.images,
            landmark_images=some.landmark_images,
            video_indices=torch.tensor(chosen),
            real=windows_if_any(some.real),
            references=own_references(photos, chosen, config.network),
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


def own_references(
    photos: PhotoTensors, targets: Sequence[int], network: NetworkConfig
) -> References | None:
    """What is copied from when photos themselves are drawn: the others, the nearest ones first.

    Neither a photo nor a copy of it is drawn from that photo, or only copying would be learned. Of
    a single photo there is no other: it is drawn from its copies, and they from it.
    """
    if not network.references:
        return None
    allowed = []
    for target in targets:
        own = int(photos.origins[target])
        others = [i for i in range(photos.originals) if i != own]
        copies = [*range(photos.originals, len(photos))]
        allowed.append(others or ([0] if target or not copies else copies))
    return _nearest_of(photos, allowed, photos.points[[*targets]], network)


def held_out_references(
    held_out: PhotoTensors, photos: PhotoTensors, network: NetworkConfig
) -> References | None:
    """What is copied from when held-out photos are drawn: those that are not held out."""
    if not network.references:
        return None
    allowed = [[*range(photos.originals)]] * len(held_out)
    return _nearest_of(photos, allowed, held_out.points, network)


def _nearest_of(
    photos: PhotoTensors, allowed: Sequence[list[int]], targets: Tensor, network: NetworkConfig
) -> References:
    """The photos nearest to each target (B, V, D), of those allowed for it, bent to it."""
    kept, rows = network.references, []
    different = min(kept, min(len(others) for others in allowed))
    for target, others in zip(targets, allowed, strict=True):
        near = nearest_photos(target[None], photos.points[others][None], different)[0]
        rows.append([others[i] for i in near.tolist()])
    chosen, ready = torch.tensor(rows, device=targets.device), photos.ready
    return prepare(targets, ready.take(chosen), ready.take(chosen[:, -1]), network.size, kept)
