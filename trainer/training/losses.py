"""The loss terms, as functions of tensors. Knows no files, optimizers or devices.

What each phase of training minimizes is put together in :mod:`fsh.trainer.training.objectives`.

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

from fsh.trainer.config import LossConfig
from fsh.trainer.models.composition import Composition, compose
from fsh.trainer.models.networks import Discriminator
from fsh.trainer.models.references import References, at_side
from fsh.trainer.training.mouth_loss import Mouths, mouth_discriminator_loss

#: Pixels within this share of the side, one sixteenth, are near a landmark.
NEAR = 16


@dataclass(frozen=True)
class Episodes:
    """A batch of episodes on the device, B videos with K source frames and one target each.

    Attributes:
        source_images: (B, K, 3, P, P) in −1…1; P is H, or larger with references.
        source_landmark_images: (B, K, 3, H, H) in 0…1.
        images, landmark_images: of the targets, (B, 3, P, P) and (B, 3, H, H).
        video_indices: int64 (B,), which of W's embeddings belongs to each video.
        references: what the generator is given of photos; None: nothing, as in the paper.
        source_real, real: float32 (B, K, 4) and of the targets (B, 4), the part of each image that
            shows the source, in shares of it: left, top, right, bottom edges. None: all of it, of
            all of them.
    """

    source_images: Tensor
    source_landmark_images: Tensor
    images: Tensor
    landmark_images: Tensor
    video_indices: Tensor
    references: References | None = None
    source_real: Tensor | None = None
    real: Tensor | None = None


@dataclass(frozen=True)
class Terms:
    """The value of a loss.

    Attributes:
        total: what to minimise, a scalar.
        parts: the terms by name, weighted, and numbers to log.
        fake: the generated images (B, 3, P, P), without gradient; the true ones where those are
            not real (:func:`real_only`).
        mouths: what is painted between the lips, without gradient; None without references.
    """

    total: Tensor
    parts: dict[str, Tensor]
    fake: Tensor
    mouths: Mouths | None = None


def windows_if_any(real: Tensor) -> Tensor | None:
    """Parts of images (…, 4), in shares of them; None if each of them is the whole image.

    Args:
        real: on the CPU, so that nobody waits for a device.
    """
    whole = real.new_tensor([0.0, 0.0, 1.0, 1.0])
    return None if torch.equal(real, whole.expand_as(real)) else real


def real_only(fake: Tensor, true: Tensor, window: Tensor | None) -> Tensor:
    """Generated images, with the true ones' pixels wherever those do not show the source.

    What a crop shows beyond its picture's edge is made up. No loss sees a difference there, and
    none has a gradient there.

    Args:
        fake, true: (B, 3, H, H).
        window: (B, 4), the real part of each true image in shares of it: left, top, right, bottom
            edges; None if that is all of it. A pixel is real if it is wholly inside.
    """
    if window is None:
        return fake
    side = fake.shape[-1]
    first = torch.arange(side, device=fake.device)
    left, top, right, bottom = (edge[:, None] * side for edge in window.unbind(-1))
    slack = 1e-3  # of a pixel: edges are rounded
    across = (first >= left - slack) & (first + 1 <= right + slack)
    down = (first >= top - slack) & (first + 1 <= bottom + slack)
    return torch.where((down[:, :, None] & across[:, None, :])[:, None], fake, true)


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


def least_squares(scores: Sequence[Tensor], wanted: float) -> Tensor:
    """Mean over the scales of the mean squared distance of the scores from ``wanted``."""
    return torch.stack([((score - wanted) ** 2).mean() for score in scores]).mean()


def match_loss(embeddings: Tensor, columns: Tensor) -> Tensor:
    """L_MCH: mean absolute difference of each frame's ŝ_k (B, K, N) and its video's W_i (B, N).

    W is the target, not moved by this term: the paper minimises it over E alone.
    """
    return (embeddings - columns.detach()[:, None]).abs().mean()


def generate(
    generator: nn.Module, episodes: Episodes, coefficients: Tensor
) -> tuple[Tensor, Composition | None]:
    """The episodes' targets drawn, (B, 3, P, P), and how they were put together of references."""
    drawn, references = episodes.landmark_images, episodes.references
    if references is None:
        return generator(drawn, coefficients), None
    answer = generator(drawn, coefficients, references)
    with torch.autocast(drawn.device.type, enabled=False):  # places want more digits than bf16 has
        composition = compose(answer, references)
    return composition.picture, composition


def embed_frames(embedder: nn.Module, images: Tensor, landmark_images: Tensor) -> Tensor:
    """Images (B, K, 3, P, P) and landmark images (B, K, 3, H, H) to ŝ (B, K, N), or (B, K, …) of
    what else an embedder gives."""
    drawn = landmark_images.flatten(0, 1)
    flat = embedder(at_side(images.flatten(0, 1), drawn.shape[-1]), drawn)
    return flat.unflatten(0, images.shape[:2])


def feature_distance(features: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
    """Sum over the layers of the mean absolute difference of activations; no gradient to ``real``.

    Args:
        features: takes images (B, 3, H, H) in −1…1 to a list of activations.
    """
    with torch.no_grad():
        wanted = features(real)
    found = features(fake)
    return torch.stack([F.l1_loss(a, b) for a, b in zip(found, wanted, strict=True)]).sum()


class ContentLoss(nn.Module):
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

    def forward(self, fake: Tensor, real: Tensor, landmark_images: Tensor) -> dict[str, Tensor]:
        """The weighted terms by name.

        Args:
            fake, real: images (B, 3, P, P) in −1…1; the networks see them at H pixels.
            landmark_images: of both, (B, 3, H, H), in 0…1.
        """
        side = landmark_images.shape[-1]
        small = at_side(fake, side), at_side(real, side)
        parts = {
            name: getattr(self.weights, name) * feature_distance(network, *small)
            for name, network in self.networks.items()
        }
        if self.weights.edges:
            parts["edges"] = self.weights.edges * edge_loss(fake, real)
        if self.weights.pixel:
            focus = self.weights.focus
            parts["pixel"] = self.weights.pixel * pixel_loss(fake, real, landmark_images, focus)
        return parts


def pixel_loss(fake: Tensor, real: Tensor, landmark_images: Tensor, focus: float) -> Tensor:
    """Mean absolute difference, in which pixels near a drawn landmark count 1 + ``focus`` times.

    Eyes and mouth are a twentieth of the picture, and what people look at.
    """
    if not focus:
        return F.l1_loss(fake, real)
    side = fake.shape[-1] // NEAR * 2 + 1
    drawn = (landmark_images.amax(1, keepdim=True) > 0).to(fake)
    drawn = F.interpolate(drawn, fake.shape[-2:])
    counts = 1 + focus * F.max_pool2d(drawn, side, 1, side // 2)
    return ((fake - real).abs() * (counts / counts.mean())).mean()


def edge_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of the first differences across, and of those down, added up."""
    terms = [F.l1_loss(fake.diff(dim=axis), real.diff(dim=axis)) for axis in (-1, -2)]
    return torch.stack(terms).sum()


def generator_parts(
    weights: LossConfig,
    content: ContentLoss,
    discriminator: Discriminator,
    fake: Tensor,
    episodes: Episodes,
    columns: Tensor,
) -> dict[str, Tensor]:
    """L_CNT and L_ADV of a batch of images: the terms that training and fine-tuning share.

    Args:
        columns: W_i of each image's video (B, N).
    """
    parts = content(fake, episodes.images, episodes.landmark_images)
    columns, drawn = columns.detach(), episodes.landmark_images
    score, features = discriminator(at_side(fake, drawn.shape[-1]), drawn, columns)
    with torch.no_grad():
        _, wanted = discriminator(at_side(episodes.images, drawn.shape[-1]), drawn, columns)
    parts["adversarial"] = weights.adversarial * hinge_generator(score)
    matching = feature_matching(features, wanted, mean=weights.lab)
    parts["feature_matching"] = weights.feature_matching * matching
    return parts


def discriminator_terms(
    discriminator: Discriminator, made: Terms, episodes: Episodes, columns: Tensor
) -> Terms:
    """L_DSC for images already generated; real and generated ones pass D as one batch."""
    fake = made.fake
    side = episodes.landmark_images.shape[-1]
    scores, _ = discriminator(
        torch.cat([at_side(episodes.images, side), at_side(fake, side)]),
        episodes.landmark_images.repeat(2, 1, 1, 1),
        columns.repeat(2, 1),
    )
    real, generated = scores.chunk(2)
    loss = hinge_discriminator(real, generated)
    parts = {"discriminator": loss, "real": real.mean(), "fake": generated.mean()}
    if discriminator.mouth is not None and made.mouths is not None:
        parts["mouth_discriminator"] = mouth_discriminator_loss(discriminator.mouth, made.mouths)
        loss = loss + parts["mouth_discriminator"]
    return Terms(loss, parts, fake, made.mouths)


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
