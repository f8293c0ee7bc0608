"""Direct image-to-image translation in the manner of Pix2pixHD (Wang et al., CVPR 2018).

From the paper's description, not its code: a convolutional encoder, residual blocks and a decoder
turn the landmark image into a frame; discriminators at two scales judge patches, with
least-squares losses and feature matching. It has no notion of a person: trained on everybody it
draws their average, and fine-tuning on a person's photos makes it that person.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsh.trainer.config import LossConfig, NetworkConfig
from fsh.trainer.training.losses import Content, Episodes, Terms, feature_matching, frozen

#: Scales at which patches are judged.
SCALES = 2


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
    ]


class ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_normed(channels, channels, 3), nn.ReLU(), *_normed(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Translator(nn.Module):
    """The paper's global generator, with nearest upsampling in place of transposed convolutions."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        wide = [min(config.generator * 2**i, config.max_channels) for i in range(config.downs + 1)]
        layers: list[nn.Module] = [*_normed(3, wide[0], 7), nn.ReLU()]
        for a, b in pairwise(wide):
            layers += [*_normed(a, b, 3, stride=2), nn.ReLU()]
        layers += [ResidualBlock(wide[-1]) for _ in range(config.residuals)]
        for a, b in zip(reversed(wide[1:]), reversed(wide[:-1]), strict=True):
            layers += [nn.Upsample(scale_factor=2.0), *_normed(a, b, 3), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide[0], 3, 7, padding=3), nn.Tanh())

    def forward(self, landmarks: Tensor, described: Tensor | None = None) -> Tensor:
        """Landmark images (B, 3, H, H) to images (B, 3, H, H) in −1…1."""
        return self.layers(landmarks)


class PatchDiscriminator(nn.Module):
    """Scores for overlapping patches, and what its layers saw."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        first = config.discriminator
        wide = [min(first * 2**i, config.max_channels) for i in range(4)]
        blocks = [nn.Sequential(nn.Conv2d(6, wide[0], 4, 2, 2), nn.LeakyReLU(0.2))]
        for a, b, stride in zip(wide, wide[1:], (2, 2, 1), strict=False):
            blocks.append(nn.Sequential(*_normed(a, b, 4, stride), nn.LeakyReLU(0.2)))
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Conv2d(wide[-1], 1, 4, padding=2)

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        seen = []
        x = pictures
        for block in self.blocks:
            x = block(x)
            seen.append(x)
        return self.last(x), seen


class PatchDiscriminators(nn.Module):
    """The same discriminator at full and at half size."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in range(SCALES))

    def forward(self, images: Tensor, landmarks: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Scores per scale (B, 1, h, w), and all layers' outputs."""
        pictures = torch.cat([landmarks, images], 1)
        scores, seen = [], []
        for scale in self.scales:
            score, layers = scale(pictures)
            scores.append(score)
            seen += layers
            pictures = F.avg_pool2d(pictures, 3, 2, 1, count_include_pad=False)
        return scores, seen


def least_squares(scores: list[Tensor], wanted: float) -> Tensor:
    """Mean over the scales of the mean squared distance of the scores from ``wanted``."""
    return torch.stack([((score - wanted) ** 2).mean() for score in scores]).mean()


class TranslationObjective:
    """Least-squares adversarial loss, feature matching and the content loss, weighted as the run's.

    At a preset whose content weighs nothing, an L1 on pixels stands in.
    """

    def __init__(
        self,
        embedder: nn.Module,
        generator: nn.Module,
        discriminator: nn.Module,
        columns: nn.Module | None,
        content: Content,
        weights: LossConfig,
    ) -> None:
        self.generator_net, self.discriminator_net = generator, discriminator
        self.content, self.weights = content, weights

    def generator(self, episodes: Episodes, made: Terms | None = None) -> Terms:
        with frozen(self.discriminator_net):
            fake = self.generator_net(episodes.landmarks)
            scores, seen = self.discriminator_net(fake, episodes.landmarks)
            with torch.no_grad():
                _, wanted = self.discriminator_net(episodes.images, episodes.landmarks)
        parts = self.content(fake, episodes.images, episodes.landmarks)
        if not parts:
            parts["pixel"] = F.l1_loss(fake, episodes.images)
        matching = feature_matching(seen, wanted, mean=True)
        parts["adversarial"] = self.weights.adversarial * least_squares(scores, 1.0)
        parts["feature_matching"] = self.weights.feature_matching * matching
        return Terms(torch.stack(list(parts.values())).sum(), parts, fake.detach())

    def discriminator(self, episodes: Episodes, made: Terms | None) -> Terms:
        assert made is not None, "the generator's phase comes first"
        real, _ = self.discriminator_net(episodes.images, episodes.landmarks)
        fake, _ = self.discriminator_net(made.fake, episodes.landmarks)
        loss = (least_squares(real, 1.0) + least_squares(fake, 0.0)) / 2
        parts = {
            "discriminator": loss,
            "real": torch.stack([score.mean() for score in real]).mean(),
            "fake": torch.stack([score.mean() for score in fake]).mean(),
        }
        return Terms(loss, parts, made.fake)
