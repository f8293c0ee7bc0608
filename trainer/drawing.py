"""A generator for one person only: ψ is a constant, and what depends on it alone is folded in."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsh.trainer.blocks import EPSILON, Residual
from fsh.trainer.networks import Generator, channels_last


class Fixed(nn.Module):
    """Instance normalisation with a given shift and scale per channel, as one multiply-add.

    Written out: PyTorch's own leaves the channels-last layout, and the two copies cost more than
    the norm.
    """

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift.clone())
        self.register_buffer("scale", scale.clone())
        self.shift: Tensor
        self.scale: Tensor

    def forward(self, x: Tensor, _: Tensor | None = None) -> Tensor:
        flat = x.permute(0, 2, 3, 1).flatten(1, 2)  # no copy: channels come last already
        mean = flat.mean(1)
        variance = (flat * flat).mean(1) - mean * mean
        gain = self.scale * torch.rsqrt(variance.clamp_min(0) + EPSILON)
        shift = self.shift - mean * gain
        return torch.addcmul(shift[:, :, None, None], x, gain[:, :, None, None])


class Drawing(nn.Module):
    """Landmark images (N, 3, H, H) in 0…1 to images (N, 3, H, H) in −1…1 of one person.

    Args:
        generator: baked; it is copied.
        coefficients: ψ (1, ψ̂).
    """

    def __init__(self, generator: Generator, coefficients: Tensor) -> None:
        super().__init__()
        generator = copy.deepcopy(generator)
        parts = coefficients[0].split(generator.sizes)
        for block, part in zip(generator.up, parts[:-1], strict=True):
            if isinstance(block, Residual):
                first, second = part.split([block.norm0.affine, block.norm1.affine])
                block.norm0, block.norm1 = _fixed(first), _fixed(second)
        for block in generator.down:
            if isinstance(block, Residual):
                block.norm0, block.norm1 = (
                    Fixed(norm.norm.bias.detach(), norm.norm.weight.detach())
                    for norm in (block.norm0, block.norm1)
                )
        self.down, self.up = generator.down, generator.up
        self.norm, self.last = _fixed(parts[-1]), generator.last
        channels_last(self).requires_grad_(False).eval()

    def forward(self, landmarks: Tensor) -> Tensor:
        x = self.down(landmarks.contiguous(memory_format=torch.channels_last))
        for block in self.up:
            x = block(x)
        return torch.tanh(self.last(F.relu(self.norm(x))))


def _fixed(part: Tensor) -> Fixed:
    shift, scale = part.chunk(2)
    return Fixed(shift, scale)
