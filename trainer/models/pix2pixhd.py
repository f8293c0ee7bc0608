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

from fsh.trainer.config import NetworkConfig

#: Scales at which patches are judged.
SCALES = 2


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
    ]


class TranslatorBlock(nn.Module):
    """A residual block: two 3×3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(channels, channels, 3), nn.ReLU(), *_conv_norm(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Translator(nn.Module):
    """The paper's global generator, with nearest upsampling in place of transposed convolutions."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        wide = [min(config.generator * 2**i, config.max_channels) for i in range(config.downs + 1)]
        layers: list[nn.Module] = [*_conv_norm(3, wide[0], 7), nn.ReLU()]
        for a, b in pairwise(wide):
            layers += [*_conv_norm(a, b, 3, stride=2), nn.ReLU()]
        layers += [TranslatorBlock(wide[-1]) for _ in range(config.residuals)]
        for a, b in zip(reversed(wide[1:]), reversed(wide[:-1]), strict=True):
            layers += [nn.Upsample(scale_factor=2.0), *_conv_norm(a, b, 3), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide[0], 3, 7, padding=3), nn.Tanh())

    def forward(self, landmark_images: Tensor, condition: Tensor | None = None) -> Tensor:
        """Landmark images (B, 3, H, H) to images (B, 3, H, H) in −1…1; nothing else is used."""
        return self.layers(landmark_images)


class PatchDiscriminator(nn.Module):
    """Scores for overlapping patches, and the outputs of all layers."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        first = config.discriminator
        wide = [min(first * 2**i, config.max_channels) for i in range(4)]
        blocks = [nn.Sequential(nn.Conv2d(6, wide[0], 4, 2, 2), nn.LeakyReLU(0.2))]
        for a, b, stride in zip(wide, wide[1:], (2, 2, 1), strict=False):
            blocks.append(nn.Sequential(*_conv_norm(a, b, 4, stride), nn.LeakyReLU(0.2)))
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Conv2d(wide[-1], 1, 4, padding=2)

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Landmark images and images (B, 6, H, H) to scores (B, 1, h, w) and features."""
        features = []
        x = pictures
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return self.last(x), features


class MultiScaleDiscriminator(nn.Module):
    """A patch discriminator each for full and for half size."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in range(SCALES))

    def forward(self, images: Tensor, landmark_images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, 3, H, H) twice to scores per scale (B, 1, h, w) and all layers' outputs."""
        pictures = torch.cat([landmark_images, images], 1)
        scores, features = [], []
        for scale in self.scales:
            score, layers = scale(pictures)
            scores.append(score)
            features += layers
            pictures = F.avg_pool2d(pictures, 3, 2, 1, count_include_pad=False)
        return scores, features
