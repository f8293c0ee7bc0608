"""Activations of dlib's face recognition network, for the content loss where no VGG is to be had.

It is the one network trained on faces that comes with fsh's own packages, in the public domain. Its
first levels respond to edges, eyes and lips and take VGGFace's part in the paper's content loss
(section 3.2); the embedding at its end, by which people are told apart, is not used.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsh.schemas.recognizer import MEAN, SCALE, Convolution, Recognizer, RecognizerBlock

#: Levels whose outputs are compared.
LEVELS_USED = 2
#: Smaller pictures are enlarged to this side: the network knows faces of 150 pixels.
LEAST_SIDE = 128


class FaceFeatures(nn.Module):
    """The network's first convolution and its first levels, frozen.

    Args:
        network: as :func:`fsh.schemas.recognizer.read_recognizer` reads it.
        levels: how many of its levels.
    """

    mean: Tensor

    def __init__(self, network: Recognizer, levels: int = LEVELS_USED) -> None:
        super().__init__()
        self.first = _layer(network.first, 2, 0)
        self.levels = nn.ModuleList(
            nn.Sequential(*map(_Block, level)) for level in network.levels[:levels]
        )
        self.register_buffer("mean", torch.from_numpy(MEAN)[None, :, None, None])
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Activations for RGB images (B, 3, H, H) in −1…1: first convolution, then each level."""
        if images.shape[-1] < LEAST_SIDE:
            images = F.interpolate(images, size=LEAST_SIDE, mode="bilinear", align_corners=False)
        x = F.relu(self.first(((images + 1) * 127.5 - self.mean) / SCALE))
        found = [x]
        x = F.max_pool2d(x, 3, 2)
        for level in self.levels:
            x = level(x)
            found.append(x)
        return found


class _Block(nn.Module):
    def __init__(self, block: RecognizerBlock) -> None:
        super().__init__()
        self.halves = block.halves
        self.one = _layer(block.one, 2, 0) if block.halves else _layer(block.one, 1, 1)
        self.two = _layer(block.two, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        body = self.two(F.relu(self.one(x)))
        shortcut = F.avg_pool2d(x, 2) if self.halves else x
        # Both ways around a halving differ in size and channels; dlib fills with zeros.
        wanted = [max(a, b) for a, b in zip(body.shape[1:], shortcut.shape[1:], strict=True)]
        return F.relu(_filled(body, wanted) + _filled(shortcut, wanted))


def _filled(x: Tensor, wanted: list[int]) -> Tensor:
    """(B, C, H, W) with zeros behind, below and to the right."""
    channels, height, width = (n - has for n, has in zip(wanted, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x


def _layer(values: Convolution, stride: int, padding: int) -> nn.Conv2d:
    filters, channels, side, _ = values.weights.shape
    layer = nn.Conv2d(channels, filters, side, stride, padding)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(values.weights)))
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(values.biases)))
    return layer
