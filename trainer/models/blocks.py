"""The building blocks of all three networks: residual blocks, AdaIN, self-attention.

``affine`` of a block is how many of ψ's coefficients it takes per image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fsh.trainer.models.norms import EPSILON, SpectralNorm, instance_norm

_without_spectral_norms = ContextVar("without_spectral_norms", default=False)


@contextmanager
def without_spectral_norms() -> Iterator[None]:
    """Networks built in here have plain layers: the same parameters, no spectral norms.

    For weights into which the norms are already written, and for counting.
    """
    token = _without_spectral_norms.set(True)
    try:
        yield
    finally:
        _without_spectral_norms.reset(token)


def spectral_norm(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """The layer with a spectral norm on its weights, unless networks are built without."""
    if not _without_spectral_norms.get():
        parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
    return layer


def conv(inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> nn.Module:
    """A spectrally normalised convolution that keeps the image's size."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    return spectral_norm(layer)


def linear(inputs: int, outputs: int) -> nn.Module:
    """A spectrally normalised linear layer with bias."""
    return spectral_norm(nn.Linear(inputs, outputs))


#: (16, 9): 3×3 weights to 4×4 weights, convolved with a 2×2 box of ones. A 2×2 box is one pixel
#: that is doubled before the convolution, or four pixels that are summed up after it.
_BOX_1D = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]])
BOX = torch.kron(_BOX_1D, _BOX_1D)


def convolve_with_box(weight: Tensor, matrix: Tensor = BOX) -> Tensor:
    """A kernel (O, I, 3, 3), convolved with a 2×2 box: (O, I, 4, 4).

    Args:
        matrix: :data:`BOX`, or a multiple of it for a box of other values.
    """
    flat = weight.permute(0, 2, 3, 1).flatten(1, 2)  # a view if memory is channels last
    return torch.matmul(matrix.to(weight), flat).unflatten(1, (4, 4)).permute(0, 3, 1, 2)


class PooledConv(nn.Module):
    """``avg_pool2d(layer(x), 2)`` of a 3×3 convolution, as one convolution of 4×4 with stride 2.

    Its weights are the layer's, convolved with a 2×2 mean: 16 products per value instead of 36,
    and nothing at full size is written or read again. The same trick for doubling, with a
    transposed convolution, is slower on a CPU than what it replaces.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", BOX / 4, persistent=False)

    def forward(self, layer: nn.Module, x: Tensor) -> Tensor:
        """(B, C, H, H) to (B, C', H/2, H/2)."""
        weight, bias = cast(Tensor, layer.weight), cast(Tensor | None, layer.bias)
        # In half precision the weights would be rounded once more. (Nothing is cast on "meta".)
        kind = weight.device.type
        with nullcontext() if kind == "meta" else torch.autocast(kind, enabled=False):
            wide = convolve_with_box(weight, self.mean)
        return F.conv2d(x, wide, bias, stride=2, padding=1)


class NoNorm(nn.Module):
    """No normalisation. Takes and ignores AdaIN coefficients."""

    affine = 0

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        return x


class InstanceNorm(nn.Module):
    """Instance normalisation with a learned scale and shift per channel."""

    affine = 0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels, eps=EPSILON, affine=True)

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        return instance_norm(x, self.norm.bias[None], self.norm.weight[None])


class AdaIN(nn.Module):
    """Adaptive instance normalisation (Huang and Belongie 2017): shift and scale are parts of ψ.

    ``coefficients`` is (B, 2·channels): the shifts, then the scales.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.affine = 2 * channels

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        assert coefficients is not None
        return instance_norm(x, *coefficients.chunk(2, dim=1))


class FirstDown(nn.Module):
    """conv3-ReLU-conv3-pool beside conv1-pool: the first block sees an image, not features."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0, self.conv1 = conv(inputs, outputs, 3), conv(outputs, outputs, 3)
        self.skip = conv(inputs, outputs, 1)
        self.pooled = PooledConv()

    def forward(self, x: Tensor) -> Tensor:
        # Pooling commutes with the 1×1 convolution and with the sum: pooling first is cheaper.
        body = self.pooled(self.conv1, F.relu(self.conv0(x)))
        return body + self.skip(F.avg_pool2d(x, 2))


class Residual(nn.Module):
    """A pre-activation residual block: (norm-ReLU-conv3) twice beside a conv1 skip.

    Args:
        resample: −1 halves the image with average pooling, +1 doubles it (nearest), 0 keeps it.
        norm: NoNorm, InstanceNorm or AdaIN. Convolutions before a normalisation have no bias.
    """

    def __init__(self, inputs: int, outputs: int, norm: type, resample: int = 0) -> None:
        super().__init__()
        bias = norm is NoNorm
        self.resample = resample
        self.norm0, self.norm1 = norm(inputs), norm(outputs)
        self.conv0 = conv(inputs, outputs, 3, bias=bias)
        self.conv1 = conv(outputs, outputs, 3, bias=bias)
        self.skip = conv(inputs, outputs, 1) if inputs != outputs or resample else None
        self.pooled = PooledConv() if resample < 0 else None
        self.affine = self.norm0.affine + self.norm1.affine

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        first = second = None
        if coefficients is not None:
            first, second = coefficients.split([self.norm0.affine, self.norm1.affine], dim=1)
        body = F.relu(self.norm0(x, first))
        if self.resample > 0:
            body = F.interpolate(body, scale_factor=2.0)
        body = F.relu(self.norm1(self.conv0(body), second))
        body = self.pooled(self.conv1, body) if self.pooled else self.conv1(body)
        if self.skip is None:
            return x + body
        # A 1×1 convolution commutes with both resamplings: do it on the smaller image.
        if self.resample > 0:
            return F.interpolate(self.skip(x), scale_factor=2.0) + body
        if self.resample < 0:
            return self.skip(F.avg_pool2d(x, 2)) + body
        return self.skip(x) + body


class Attention(nn.Module):
    """Self-attention over an image's positions (Zhang et al. 2018), starting as the identity."""

    affine = 0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = conv(channels, channels // 8, 1), conv(channels, channels // 8, 1)
        self.value, self.out = conv(channels, channels // 2, 1), conv(channels // 2, channels, 1)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        q, k, v = (part(x).flatten(2).mT for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        return x + self.gain * self.out(mixed.mT.unflatten(2, x.shape[2:]))
