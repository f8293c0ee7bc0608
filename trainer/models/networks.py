"""Embedder E, generator G and discriminator D of arXiv:1905.08233, at any size.

Images are float (B, 3, H, H) in −1…1, landmark images float (B, 3, H, H) in 0…1 (black is the
convolutions' zero padding). At the paper's sizes and without attention, E has 14,825,024
parameters, D without W 19,545,153, G 37,909,443, and ψ̂ 13,056 values: the numbers of the authors'
later code.
"""

from __future__ import annotations

from typing import Any, TypeVar, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fsh.trainer.config import NetworkConfig
from fsh.trainer.models.blocks import (
    AdaIN,
    Attention,
    FirstDown,
    InstanceNorm,
    NoNorm,
    Residual,
    conv,
    linear,
)
from fsh.trainer.models.composition import Answer, answered_maps, first_answer
from fsh.trainer.models.mouth_paint import InnerMouth, MouthDiscriminator
from fsh.trainer.models.references import References, given_maps

Network = TypeVar("Network", bound=nn.Module)
#: Attributes that Python gives every class by itself.
_CLASS_ATTRIBUTES = ("__dict__", "__weakref__")


def _down_path(config: NetworkConfig, first: int) -> tuple[list[nn.Module], int]:
    """Down-blocks from 6 channels at full size to ``embedding`` channels at 4×4."""
    blocks: list[nn.Module] = [FirstDown(6, first)]
    channels, size = first, config.size // 2
    while size > 4:
        last = size == 8
        wider = config.embedding if last else min(2 * channels, config.max_channels)
        blocks.append(Residual(channels, wider, NoNorm, -1))
        channels, size = wider, size // 2
        if config.attention and size == 32:
            blocks.append(Attention(channels))
    return blocks, channels


class Embedder(nn.Module):
    """E(x, y): a frame and its landmark image to a vector of N."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        blocks, _ = _down_path(config, config.embedder)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, images: Tensor, landmark_images: Tensor) -> Tensor:
        """(B, 3, H, H) twice to (B, N), at least 0 everywhere (sum pooling of a ReLU)."""
        return F.relu(self.blocks(torch.cat([landmark_images, images], 1))).sum((2, 3))


class Generator(nn.Module):
    """G(y, ψ): a landmark image to a frame of the person that ψ describes.

    With references (:mod:`fsh.trainer.models.references`) it sees photos of the person besides, and
    answers how the frame is put together of them; what its down path saw at each size is then added
    to its up path, because a flow has to be exact where the landmarks are.

    Attributes:
        sizes: how many coefficients of ψ each AdaIN block and the last norm take.
        project: P, from ê to ψ̂.
        skips: what joins the two paths, the smallest size first; empty without references.
        mouth: what paints between the lips; None without references.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels, size = config.generator, config.size // 2
        given = 3 + given_maps(config.references)
        blocks: list[nn.Module] = [FirstDown(given, channels)]
        for _ in range(1, config.downs):
            wider = min(2 * channels, config.max_channels)
            blocks.append(Residual(channels, wider, InstanceNorm, -1))
            channels, size = wider, size // 2
            if config.attention and size == 32:
                blocks.append(Attention(channels))
        self.down = nn.Sequential(*blocks)
        wide: list[Any] = [Residual(channels, channels, AdaIN) for _ in range(config.residuals)]
        skips: list[nn.Module] = []
        for level in reversed(range(config.downs)):
            narrower = min(config.generator * 2**level, config.max_channels)
            wide.append(Residual(channels, narrower, AdaIN, +1))
            if config.references:
                seen = min(config.generator * 2 ** (level - 1), config.max_channels)
                skips.append(conv(seen, narrower, 1) if level else conv(given, narrower, 3))
            channels, size = narrower, size * 2
            if config.attention and size == 64:
                wide.append(Attention(channels))
        self.sizes = [block.affine for block in wide]
        self.up = nn.ModuleList(wide)
        self.norm = AdaIN(channels)
        self.skips = nn.ModuleList(skips)
        self.last = _answer(channels, config.references)
        self.mouth = InnerMouth() if config.references else None
        self.sizes.append(self.norm.affine)
        self.project: Any = linear(config.embedding, sum(self.sizes))
        self._start_neutral()

    def _start_neutral(self) -> None:
        """P's bias starts at scale 1 and shift 0, so that the first images are not flat."""
        bias = []
        for module in self.modules():
            if isinstance(module, AdaIN):
                half = module.affine // 2
                bias.append(torch.cat([torch.zeros(half), torch.ones(half)]))
        with torch.no_grad():
            self.project.bias.copy_(torch.cat(bias))

    @overload
    def forward(self, landmark_images: Tensor, coefficients: Tensor) -> Tensor: ...

    @overload
    def forward(
        self, landmark_images: Tensor, coefficients: Tensor, references: References
    ) -> Answer: ...

    def forward(
        self, landmark_images: Tensor, coefficients: Tensor, references: References | None = None
    ) -> Tensor | Answer:
        """Landmark images (B, 3, H, H) and ψ (B, ψ̂) to images (B, 3, H, H) in −1…1.

        ψ is ``project(ê)`` (feed-forward), or a person's own (fine-tuned; B may be 1).

        Args:
            references: what is given of photos; then the answer says how a picture is put
                together of them (:func:`fsh.trainer.models.composition.compose`).
        """
        parts = coefficients.split(self.sizes, dim=1)
        x = landmark_images
        if references is not None:
            x = torch.cat([x, references.maps], 1)
        seen = []
        for block in self.down:
            if isinstance(block, FirstDown | Residual):
                seen.append(x)
            x = block(x)
        skips = iter(self.skips)
        for block, part in zip(self.up, parts[:-1], strict=True):
            x = block(x, part)
            if self.skips and isinstance(block, Residual) and block.resample > 0:
                x = x + next(skips)(seen.pop())
        x = self.last(F.relu(self.norm(x, parts[-1])))
        if references is None or self.mouth is None:
            return torch.tanh(x)
        return Answer(x, self.mouth(references.mouth_maps))


def _answer(channels: int, references: int) -> nn.Module:
    """G's last layer. With references it begins with copying, so it has no spectral norm."""
    if not references:
        return conv(channels, 3, 3)
    layer = nn.Conv2d(channels, answered_maps(references), 3, padding=1)
    nn.init.zeros_(layer.weight)
    layer.bias = nn.Parameter(first_answer(references))
    return layer


class Discriminator(nn.Module):
    """D(x, y, i): how real a frame is, how well it fits the landmarks and the video i.

    Attributes:
        mouth: judges what is painted between the lips; None without references.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        blocks, channels = _down_path(config, config.discriminator)
        self.blocks = nn.ModuleList([*blocks, Residual(channels, channels, NoNorm)])
        self.linear = linear(channels, 1)  # w0 and b
        self.mouth = MouthDiscriminator() if config.references else None

    def forward(
        self, images: Tensor, landmark_images: Tensor, columns: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Scores vᵀ(W_i + w0) + b as (B,), and every block's output.

        Args:
            columns: (B, N), W_i of each image's video.
        """
        x = torch.cat([landmark_images, images], 1)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        v = F.relu(x).sum((2, 3))
        return (v * columns).sum(1) + self.linear(v)[:, 0], features


def channels_last(module: Network) -> Network:
    """Weights in the layout in which convolutions run fastest, in place."""
    for p in module.parameters():
        if p.dim() == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    return module


def parameter_count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def bake(module: nn.Module) -> nn.Module:
    """Write the spectral norms into plain weights, in place: same output, no work per call."""
    module.eval()
    for layer in list(module.modules()):
        if parametrize.is_parametrized(layer):
            # Copies of a layer share a class made for it, and removing takes `weight` from that.
            own = {k: v for k, v in vars(type(layer)).items() if k not in _CLASS_ATTRIBUTES}
            layer.__class__ = type(type(layer).__name__, type(layer).__bases__, own)
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return module
