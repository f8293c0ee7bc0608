"""All of the adversarial maths. Knows networks and tensors; no files, optimizers or devices.

Notation of arXiv:1905.08233: ŝ_k is the embedding of source frame k, ê their mean, ψ̂ = P·ê,
r = vᵀ(W_i + w0) + b the discriminator's score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fsh.trainer.config import LossConfig
from fsh.trainer.models.networks import Discriminator, Embedder, Generator
from fsh.trainer.models.vgg import content

#: Pixels within this share of the side, one sixteenth, are near a landmark.
NEAR = 16


@dataclass(frozen=True)
class Episodes:
    """A batch of episodes on the device, B videos with K source frames and one target each.

    ``source_images``, ``source_landmarks`` (B, K, 3, H, H); ``images``, ``landmarks``
    (B, 3, H, H): the target. Images in −1…1, landmark images in 0…1. ``columns`` (B,): the row of
    W that belongs to each video.
    """

    source_images: Tensor
    source_landmarks: Tensor
    images: Tensor
    landmarks: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Terms:
    """What a loss hands to the loop: what to minimise, its weighted parts, and the images made."""

    total: Tensor
    parts: dict[str, Tensor]
    fake: Tensor


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_DSC = max(0, 1 + r(fake)) + max(0, 1 − r(real)), mean over the batch."""
    return F.relu(1 + fake).mean() + F.relu(1 - real).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """−r(fake), mean over the batch."""
    return -fake.mean()


def feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor], *, mean: bool) -> Tensor:
    """Sum (``mean``: average) over D's blocks of the mean absolute difference of their outputs."""
    terms = [F.l1_loss(a, b.detach()) for a, b in zip(fake, real, strict=True)]
    total = torch.stack(terms).sum()
    return total / len(terms) if mean else total


def match(embeddings: Tensor, columns: Tensor) -> Tensor:
    """L_MCH: mean absolute difference of each frame's ŝ_k (B, K, N) and its video's W_i (B, N).

    W is the target, not moved by this term: the paper minimises it over E alone.
    """
    return (embeddings - columns.detach()[:, None]).abs().mean()


def embed(embedder: nn.Module, images: Tensor, landmarks: Tensor) -> Tensor:
    """(B, K, 3, H, H) twice to ŝ (B, K, N), or whatever else an embedder makes of a frame."""
    flat = embedder(images.flatten(0, 1), landmarks.flatten(0, 1))
    return flat.unflatten(0, images.shape[:2])


class Content(nn.Module):
    """L_CNT: one term per perceptual network, and the pixel term where a preset has one.

    Args:
        networks: by the name of the term's weight in :class:`LossConfig`: each takes images
            (B, 3, H, H) in −1…1 to a list of activations. What weighs 0 is left out.
    """

    def __init__(
        self, weights: LossConfig, networks: Mapping[str, nn.Module] = MappingProxyType({})
    ) -> None:
        super().__init__()
        self.weights = weights
        self.networks = nn.ModuleDict(
            {name: network for name, network in networks.items() if getattr(weights, name)}
        )

    def forward(self, fake: Tensor, real: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
        """Args:
        landmarks: the landmark images (B, 3, H, H) that the images show.
        """
        parts = {
            name: getattr(self.weights, name) * content(network, fake, real)
            for name, network in self.networks.items()
        }
        if self.weights.pixel:
            parts["pixel"] = self.weights.pixel * pixels(fake, real, landmarks, self.weights.focus)
        return parts


def pixels(fake: Tensor, real: Tensor, landmarks: Tensor, focus: float) -> Tensor:
    """Mean absolute difference, in which pixels near a drawn landmark count 1 + ``focus`` times.

    Eyes and mouth are a twentieth of the picture, and what people look at.
    """
    if not focus:
        return F.l1_loss(fake, real)
    side = fake.shape[-1] // NEAR * 2 + 1
    drawn = (landmarks.amax(1, keepdim=True) > 0).to(fake)
    counts = 1 + focus * F.max_pool2d(drawn, side, 1, side // 2)
    return ((fake - real).abs() * (counts / counts.mean())).mean()


def generator_parts(
    weights: LossConfig,
    content: Content,
    discriminator: Discriminator,
    fake: Tensor,
    episodes: Episodes,
    columns: Tensor,
) -> dict[str, Tensor]:
    """L_CNT and L_ADV of a batch of images; the part that training and fine-tuning share."""
    parts = content(fake, episodes.images, episodes.landmarks)
    columns = columns.detach()
    score, made = discriminator(fake, episodes.landmarks, columns)
    with torch.no_grad():
        _, wanted = discriminator(episodes.images, episodes.landmarks, columns)
    parts["adversarial"] = weights.adversarial * hinge_generator(score)
    matching = feature_matching(made, wanted, mean=weights.lab)
    parts["feature_matching"] = weights.feature_matching * matching
    return parts


def discriminator_terms(
    discriminator: Discriminator, fake: Tensor, episodes: Episodes, columns: Tensor
) -> Terms:
    """L_DSC for images already made; real and made pass D as one batch."""
    fake = fake.detach()
    scores, _ = discriminator(
        torch.cat([episodes.images, fake]),
        episodes.landmarks.repeat(2, 1, 1, 1),
        columns.repeat(2, 1),
    )
    real, made = scores.chunk(2)
    loss = hinge_discriminator(real, made)
    return Terms(loss, {"discriminator": loss, "real": real.mean(), "fake": made.mean()}, fake)


class MetaObjective:
    """The two losses of meta-learning.

    Args:
        columns: W as a module: ``columns(indices)`` gives (B, N).
    """

    def __init__(
        self,
        embedder: Embedder,
        generator: Generator,
        discriminator: Discriminator,
        columns: nn.Module,
        content: Content,
        weights: LossConfig,
    ) -> None:
        self.embedder, self.generator_net = embedder, generator
        self.discriminator_net, self.columns = discriminator, columns
        self.content, self.weights = content, weights

    def generator(self, episodes: Episodes, _: Terms | None = None) -> Terms:
        """L_CNT + L_ADV + L_MCH, for E, G and P; D and W stay still."""
        columns = self.columns(episodes.columns)
        with frozen(self.discriminator_net, self.columns), parametrize.cached():
            frames = embed(self.embedder, episodes.source_images, episodes.source_landmarks)
            psi = self.generator_net.project(frames.mean(1))
            fake = self.generator_net(episodes.landmarks, psi)
            parts = generator_parts(
                self.weights, self.content, self.discriminator_net, fake, episodes, columns
            )
        if self.weights.match:
            parts["match"] = self.weights.match * match(frames, columns)
        return Terms(torch.stack(list(parts.values())).sum(), parts, fake.detach())

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms:
        """L_DSC for D and W, on the images that the generator's phase of this step made."""
        assert made is not None, "the generator's phase comes first"
        columns = self.columns(episodes.columns)
        with parametrize.cached():
            return discriminator_terms(self.discriminator_net, made.fake, episodes, columns)


class PersonalObjective:
    """The two losses of fine-tuning: L_CNT + L_ADV without L_MCH, and L_DSC.

    ψ' and the person's column are free parameters. The score's w' = w0 + ê is kept as D's own w0
    plus a free column that starts at ê: the same sum, both parts trained.

    Args:
        coefficients: ψ' (1, ψ̂). column: (1, N).
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        coefficients: nn.Parameter,
        column: nn.Parameter,
        content: Content,
        weights: LossConfig,
    ) -> None:
        self.generator_net, self.discriminator_net = generator, discriminator
        self.coefficients, self.column = coefficients, column
        self.content, self.weights = content, weights

    def generator(self, episodes: Episodes, _: Terms | None = None) -> Terms:
        count = len(episodes.images)
        with frozen(self.discriminator_net), parametrize.cached():
            fake = self.generator_net(episodes.landmarks, self.coefficients)
            column = self.column.expand(count, -1)
            parts = generator_parts(
                self.weights, self.content, self.discriminator_net, fake, episodes, column
            )
        return Terms(torch.stack(list(parts.values())).sum(), parts, fake.detach())

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms:
        assert made is not None, "the generator's phase comes first"
        column = self.column.expand(len(episodes.images), -1)
        with parametrize.cached():
            return discriminator_terms(self.discriminator_net, made.fake, episodes, column)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Gradients flow through these modules, not into them: saves a third of their backward."""
    parameters = [p for module in modules for p in module.parameters()]
    for p in parameters:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(True)
