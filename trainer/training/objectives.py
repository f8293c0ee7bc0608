"""What each phase of training and of fine-tuning minimizes, put together of the loss terms.

An objective has two phases per step: ``generator``, which also makes the step's images, and
``discriminator``, which judges those. Knows networks and tensors; no files, optimizers or devices.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fsh.trainer.config import LossConfig
from fsh.trainer.models.composition import Composition
from fsh.trainer.models.networks import Discriminator, Embedder, Generator
from fsh.trainer.training.losses import (
    ContentLoss,
    Episodes,
    Terms,
    discriminator_terms,
    embed_frames,
    feature_matching,
    frozen,
    generate,
    generator_parts,
    least_squares,
    match_loss,
    real_only,
)
from fsh.trainer.training.mouth_loss import Mouths, mouth_loss, mouths_of


class Objective(Protocol):
    """What the loop's phases minimize."""

    def generator(self, episodes: Episodes, made: Terms | None = None) -> Terms:
        """For all but the discriminator; ``made`` is not used."""
        ...

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms:
        """For the discriminator, on the images that this step's generator phase made."""
        ...


class _Copying:
    """What objectives of networks that copy from photos have in common."""

    discriminator_net: Discriminator
    weights: LossConfig

    def _of_references(
        self, composition: Composition | None, episodes: Episodes
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Mouths | None]:
        """Terms of pictures put together of photos, numbers to log, and their mouths."""
        references, mouth = episodes.references, self.discriminator_net.mouth
        if composition is None or references is None or mouth is None:
            return {}, {}, None
        mouths = mouths_of(composition, references, episodes.images)
        terms = {
            "flow": self.weights.flow * composition.unevenness,
            "mouth": self.weights.mouth * mouth_loss(mouth, mouths),
        }
        return terms, {"painted": composition.painted.detach()}, mouths.detached()


class MetaObjective(_Copying):
    """The two losses of meta-learning (the paper's section 3.3).

    Args:
        columns: W as a module: ``columns(video_indices)`` gives (B, N).
    """

    def __init__(
        self,
        embedder: Embedder,
        generator: Generator,
        discriminator: Discriminator,
        columns: nn.Module,
        content: ContentLoss,
        weights: LossConfig,
    ) -> None:
        self.embedder, self.generator_net = embedder, generator
        self.discriminator_net, self.columns = discriminator, columns
        self.content, self.weights = content, weights

    def generator(self, episodes: Episodes, made: Terms | None = None) -> Terms:
        """L_CNT + L_ADV + L_MCH, for E, G and P; D and W stay still."""
        columns = self.columns(episodes.video_indices)
        with frozen(self.discriminator_net, self.columns), parametrize.cached():
            frames = embed_frames(
                self.embedder, episodes.source_images, episodes.source_landmark_images
            )
            psi = self.generator_net.project(frames.mean(1))
            fake, composition = generate(self.generator_net, episodes, psi)
            fake = real_only(fake, episodes.images, episodes.real)
            parts = generator_parts(
                self.weights, self.content, self.discriminator_net, fake, episodes, columns
            )
            copied = self._of_references(composition, episodes)
        if self.weights.match:
            parts["match"] = self.weights.match * match_loss(frames, columns)
        return _sum_of(parts, fake, copied)

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms:
        """L_DSC for D and W."""
        assert made is not None, "the generator's phase comes first"
        columns = self.columns(episodes.video_indices)
        with parametrize.cached():
            return discriminator_terms(self.discriminator_net, made, episodes, columns)


class FineTuningObjective(_Copying):
    """The two losses of fine-tuning (section 3.4): L_CNT + L_ADV without L_MCH, and L_DSC.

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
        content: ContentLoss,
        weights: LossConfig,
    ) -> None:
        self.generator_net, self.discriminator_net = generator, discriminator
        self.coefficients, self.column = coefficients, column
        self.content, self.weights = content, weights

    def generator(self, episodes: Episodes, made: Terms | None = None) -> Terms:
        """L_CNT + L_ADV, for G and ψ'; D and the column stay still."""
        column = self.column.expand(len(episodes.images), -1)
        with frozen(self.discriminator_net), parametrize.cached():
            fake, composition = generate(self.generator_net, episodes, self.coefficients)
            fake = real_only(fake, episodes.images, episodes.real)
            parts = generator_parts(
                self.weights, self.content, self.discriminator_net, fake, episodes, column
            )
            copied = self._of_references(composition, episodes)
        return _sum_of(parts, fake, copied)

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms:
        """L_DSC for D and the column."""
        assert made is not None, "the generator's phase comes first"
        column = self.column.expand(len(episodes.images), -1)
        with parametrize.cached():
            return discriminator_terms(self.discriminator_net, made, episodes, column)


class WarpObjective:
    """X2Face's: the content loss and an L1 on pixels; no discriminator, as in its first stage.

    The pixel term has the weight that the run's preset gives it, or 1 if that is none.
    """

    def __init__(
        self,
        embedder: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        columns: nn.Module | None,
        content: ContentLoss,
        weights: LossConfig,
    ) -> None:
        self.embedder, self.generator_net = embedder, generator
        self.content, self.weights = content, weights

    def generator(self, episodes: Episodes, made: Terms | None = None) -> Terms:
        """L_CNT and L1, for both networks."""
        faces = embed_frames(self.embedder, episodes.source_images, episodes.source_landmark_images)
        fake = self.generator_net(episodes.landmark_images, faces.mean(1))
        fake = real_only(fake, episodes.images, episodes.real)
        parts = self.content(fake, episodes.images, episodes.landmark_images)
        if "pixel" not in parts:
            parts["pixel"] = F.l1_loss(fake, episodes.images)
        return _sum_of(parts, fake)

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms:
        """Raises:
        NotImplementedError: always.
        """
        raise NotImplementedError("this method has no discriminator")


class TranslationObjective:
    """Pix2pixHD's: least-squares adversarial loss, feature matching and the content loss.

    They are weighted as the run's. Where the content loss has no term, an L1 on pixels stands in.
    """

    def __init__(
        self,
        embedder: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        columns: nn.Module | None,
        content: ContentLoss,
        weights: LossConfig,
    ) -> None:
        self.generator_net, self.discriminator_net = generator, discriminator
        self.content, self.weights = content, weights

    def generator(self, episodes: Episodes, made: Terms | None = None) -> Terms:
        """L_CNT, the adversarial loss and feature matching, for the generator."""
        drawn = episodes.landmark_images
        with frozen(self.discriminator_net):
            fake = self.generator_net(drawn)
            fake = real_only(fake, episodes.images, episodes.real)
            scores, features = self.discriminator_net(fake, drawn)
            with torch.no_grad():
                _, wanted = self.discriminator_net(episodes.images, drawn)
        parts = self.content(fake, episodes.images, drawn)
        if not parts:
            parts["pixel"] = F.l1_loss(fake, episodes.images)
        matching = feature_matching(features, wanted, mean=True)
        parts["adversarial"] = self.weights.adversarial * least_squares(scores, 1.0)
        parts["feature_matching"] = self.weights.feature_matching * matching
        return _sum_of(parts, fake)

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms:
        """Scores near 1 for real images and near 0 for generated ones."""
        assert made is not None, "the generator's phase comes first"
        real, _ = self.discriminator_net(episodes.images, episodes.landmark_images)
        fake, _ = self.discriminator_net(made.fake, episodes.landmark_images)
        loss = (least_squares(real, 1.0) + least_squares(fake, 0.0)) / 2
        parts = {
            "discriminator": loss,
            "real": torch.stack([score.mean() for score in real]).mean(),
            "fake": torch.stack([score.mean() for score in fake]).mean(),
        }
        return Terms(loss, parts, made.fake)


def _sum_of(
    parts: dict[str, Tensor],
    fake: Tensor,
    copied: tuple[dict[str, Tensor], dict[str, Tensor], Mouths | None] = ({}, {}, None),
) -> Terms:
    """A generator's terms, added up; with references theirs too as :class:`_Copying` gives them."""
    terms, shown, mouths = copied
    parts = parts | terms
    return Terms(torch.stack(list(parts.values())).sum(), parts | shown, fake.detach(), mouths)
