"""The methods that the loop can train: each is three networks, two losses and a way to draw.

All share data, loop, checkpoints and evaluation, and see the same inputs: photos with their
landmark images, and the landmark image to draw. What a method makes of the photos (``describe``)
is whatever its generator takes beside that landmark image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fsh.trainer.config import NetworkConfig
from fsh.trainer.models import pix2pixhd as translation
from fsh.trainer.models import x2face as warping
from fsh.trainer.models.networks import Discriminator, Embedder, Generator
from fsh.trainer.training.losses import Episodes, MetaObjective, Terms, embed


class Objective(Protocol):
    """What the loop's phases minimise."""

    def generator(self, episodes: Episodes, made: Terms | None = None) -> Terms: ...

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms: ...


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        title: for tables.
        objective: made of embedder, generator, discriminator, W, content loss and weights.
        describe: whatever has an ``embedder`` and a ``generator``, and photos (B, K, 3, H, H) with
            their landmark images, to what the generator takes as its second argument.
        adversarial: whether there is a discriminator to train.
    """

    title: str
    embedder: Callable[[NetworkConfig], nn.Module]
    generator: Callable[[NetworkConfig], nn.Module]
    discriminator: Callable[[NetworkConfig], nn.Module]
    objective: Callable[..., Objective]
    describe: Callable[[Any, Tensor, Tensor], Tensor]
    adversarial: bool


def _no_network(_: NetworkConfig) -> nn.Module:
    """In place of a network that a method does not have."""
    return nn.Module()


def _coefficients(networks: Any, images: Tensor, landmarks: Tensor) -> Tensor:
    """ψ̂ = P·ê, ê the mean over the photos."""
    return networks.generator.project(embed(networks.embedder, images, landmarks).mean(1))


def _embedded_face(networks: Any, images: Tensor, landmarks: Tensor) -> Tensor:
    return embed(networks.embedder, images, landmarks).mean(1)


def _nothing(networks: Any, images: Tensor, landmarks: Tensor) -> Tensor:
    return torch.empty(len(images), 0, device=images.device)


METHODS = {
    "fsth": Method(
        title="fsh",
        embedder=Embedder,
        generator=Generator,
        discriminator=Discriminator,
        objective=MetaObjective,
        describe=_coefficients,
        adversarial=True,
    ),
    "x2face": Method(
        title="X2Face-like",
        embedder=warping.FaceEmbedder,
        generator=warping.Driver,
        discriminator=_no_network,
        objective=warping.WarpObjective,
        describe=_embedded_face,
        adversarial=False,
    ),
    "pix2pixhd": Method(
        title="Pix2pixHD-like",
        embedder=_no_network,
        generator=translation.Translator,
        discriminator=translation.PatchDiscriminators,
        objective=translation.TranslationObjective,
        describe=_nothing,
        adversarial=True,
    ),
}
