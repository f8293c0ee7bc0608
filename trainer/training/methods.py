"""The methods that the loop can train: each is three networks, two losses and a way to draw.

All share data, loop, checkpoints and evaluation, and see the same inputs: photos with their
landmark images, and the landmark image to draw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fsh.trainer.config import NetworkConfig
from fsh.trainer.models.networks import Discriminator, Embedder, Generator
from fsh.trainer.models.pix2pixhd import MultiScaleDiscriminator, Translator
from fsh.trainer.models.x2face import DrivingNetwork, FaceEmbedder
from fsh.trainer.training.losses import embed_frames
from fsh.trainer.training.objectives import (
    MetaObjective,
    Objective,
    TranslationObjective,
    WarpObjective,
)


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        title: for tables.
        embedder, generator, discriminator: make the networks, of the preset's sizes.
        objective: made of embedder, generator, discriminator, W, content loss and weights.
        condition: whatever has an ``embedder`` and a ``generator``, and photos (B, K, 3, H, H) with
            their landmark images, to what the generator takes beside the landmark image to draw.
        adversarial: whether there is a discriminator to train.
    """

    title: str
    embedder: Callable[[NetworkConfig], nn.Module]
    generator: Callable[[NetworkConfig], nn.Module]
    discriminator: Callable[[NetworkConfig], nn.Module]
    objective: Callable[..., Objective]
    condition: Callable[[Any, Tensor, Tensor], Tensor]
    adversarial: bool


def _no_network(_: NetworkConfig) -> nn.Module:
    """In place of a network that a method does not have."""
    return nn.Module()


def _coefficients(networks: Any, images: Tensor, landmark_images: Tensor) -> Tensor:
    """ψ̂ = P·ê, ê the mean over the photos."""
    return networks.generator.project(_mean_embedding(networks, images, landmark_images))


def _mean_embedding(networks: Any, images: Tensor, landmark_images: Tensor) -> Tensor:
    return embed_frames(networks.embedder, images, landmark_images).mean(1)


def _nothing(networks: Any, images: Tensor, landmark_images: Tensor) -> Tensor:
    return torch.empty(len(images), 0, device=images.device)


METHODS = {
    "fsth": Method(
        title="fsh",
        embedder=Embedder,
        generator=Generator,
        discriminator=Discriminator,
        objective=MetaObjective,
        condition=_coefficients,
        adversarial=True,
    ),
    "x2face": Method(
        title="X2Face-like",
        embedder=FaceEmbedder,
        generator=DrivingNetwork,
        discriminator=_no_network,
        objective=WarpObjective,
        condition=_mean_embedding,
        adversarial=False,
    ),
    "pix2pixhd": Method(
        title="Pix2pixHD-like",
        embedder=_no_network,
        generator=Translator,
        discriminator=MultiScaleDiscriminator,
        objective=TranslationObjective,
        condition=_nothing,
        adversarial=True,
    ),
}
