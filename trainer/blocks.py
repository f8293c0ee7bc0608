"""The building blocks of all three networks: residual blocks, AdaIN, self-attention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

#: Keeps normalisations finite in half precision; the authors' code uses it throughout.
EPSILON = 1e-4


_bare = ContextVar("bare", default=False)


@contextmanager
def bare() -> Iterator[None]:
    """Networks built in here have plain layers: the same parameters, no spectral norms.

    For weights into which the norms are already written, and for counting.
    """
    token = _bare.set(True)
    try:
        yield
    finally:
        _bare.reset(token)


class SpectralNorm(nn.Module):
    """A weight over its largest singular value, tracked by one power iteration per training pass.

    The numbers and stored vectors are those of ``torch.nn.utils.parametrizations.spectral_norm``,
    with two differences: a convolution's weight is read in the order in which channels-last memory
    holds it, so that nothing is copied, and it is always computed in float32, where autocast would
    round its products to bfloat16.
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("_u", F.normalize(torch.randn(len(matrix)), dim=0, eps=EPSILON))
        self.register_buffer("_v", F.normalize(torch.randn(matrix.shape[1]), dim=0, eps=EPSILON))
        for _ in range(15):
            self._iterate(weight.detach())

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            if self.training:
                self._iterate(weight.detach())
            # Copies: the buffers may move on before this pass is differentiated.
            u, v = self._u.clone(), self._arranged(weight, self._v).clone()
            return cast(Tensor, _OverItsNorm.apply(weight, u, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value

    @torch.no_grad()
    def _iterate(self, weight: Tensor) -> None:
        matrix = _matrix(weight)
        u = torch.mv(matrix, self._arranged(weight, self._v))
        self._u.copy_(F.normalize(u, dim=0, eps=EPSILON))
        v = F.normalize(torch.mv(matrix.mT, self._u), dim=0, eps=EPSILON)
        if weight.dim() == 4:
            _, channels, height, width = weight.shape
            v = v.view(height, width, channels).movedim(2, 0).flatten()
        self._v.copy_(v)

    @staticmethod
    def _arranged(weight: Tensor, v: Tensor) -> Tensor:
        """v, stored input channel by input channel, in the order of :func:`_matrix`'s columns."""
        if weight.dim() < 4:
            return v
        return v.view(weight.shape[1:]).permute(1, 2, 0).flatten()


def _matrix(weight: Tensor) -> Tensor:
    """(out, in) or (out, in, h, w) to (out, everything else): a view if memory is channels last."""
    return weight if weight.dim() < 4 else weight.permute(0, 2, 3, 1).flatten(1)


class _OverItsNorm(torch.autograd.Function):
    """w / σ with σ = uᵀWv; what autograd would make of it goes over the weights eight times."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        sigma = torch.vdot(u, torch.mv(_matrix(weight), v))
        normed = weight / sigma
        ctx.save_for_backward(normed, u, v, sigma)
        return normed

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        """(s − ⟨s, w/σ⟩ u vᵀ) / σ for a slope s."""
        normed, u, v, sigma = ctx.saved_tensors
        slope = _matrix(slopes[0])
        along = torch.vdot(slope.reshape(-1), _matrix(normed).reshape(-1))
        slope = torch.addr(slope, u * -along, v).div_(sigma)
        if normed.dim() == 4:
            outputs, inputs, height, width = normed.shape
            slope = slope.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
        return slope, None, None


def _normalised(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    if not _bare.get():
        parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
    return layer


def conv(inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> nn.Module:
    """A spectrally normalised convolution that keeps the image's size."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    return _normalised(layer)


def linear(inputs: int, outputs: int) -> nn.Module:
    """A spectrally normalised linear layer with bias."""
    return _normalised(nn.Linear(inputs, outputs))


class Halving(nn.Module):
    """``avg_pool2d(layer(x), 2)`` of a 3×3 convolution, as one convolution of 4×4 with stride 2.

    Its weights are the layer's, convolved with a 2×2 mean: 16 products per value instead of 36,
    and nothing at full size is written or read again. The same trick for doubling, with a
    transposed convolution, is slower on a CPU than what it replaces.
    """

    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        pairs = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]]) / 2
        self.register_buffer("spread", torch.kron(pairs, pairs), persistent=False)

    def forward(self, layer: nn.Module, x: Tensor) -> Tensor:
        """(B, C, H, H) to (B, C', H/2, H/2)."""
        weight, bias = cast(Tensor, layer.weight), cast(Tensor | None, layer.bias)
        taps = weight.permute(0, 2, 3, 1).flatten(1, 2)  # a view if memory is channels last
        wide = torch.matmul(self.spread, taps).unflatten(1, (4, 4)).permute(0, 3, 1, 2)
        return F.conv2d(x, wide, bias, stride=2, padding=1)


class Plain(nn.Module):
    """No normalisation. Takes and ignores AdaIN coefficients."""

    affine = 0

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        return x


class Instance(nn.Module):
    """Instance normalisation with a learned scale and shift per channel."""

    affine = 0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels, eps=EPSILON, affine=True)

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        return self.norm(x)


class Adaptive(nn.Module):
    """Adaptive instance normalisation: shift and scale come from the person's ψ.

    ``coefficients`` is (B, 2·channels): the shifts, then the scales.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.affine = 2 * channels

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        assert coefficients is not None
        shift, scale = coefficients[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, F.instance_norm(x, eps=EPSILON), scale)


class FirstDown(nn.Module):
    """conv3-ReLU-conv3-pool beside conv1-pool: the first block sees an image, not features."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0, self.conv1 = conv(inputs, outputs, 3), conv(outputs, outputs, 3)
        self.skip = conv(inputs, outputs, 1)
        self.halve = Halving()

    def forward(self, x: Tensor) -> Tensor:
        # Pooling commutes with the 1×1 convolution and with the sum: pooling first is cheaper.
        body = self.halve(self.conv1, F.relu(self.conv0(x)))
        return body + self.skip(F.avg_pool2d(x, 2))


class Residual(nn.Module):
    """A pre-activation residual block: (norm-ReLU-conv3) twice beside a conv1 skip.

    Args:
        resample: −1 halves the image with average pooling, +1 doubles it (nearest), 0 keeps it.
        norm: Plain, Instance or Adaptive. Convolutions before a normalisation have no bias.
    """

    def __init__(self, inputs: int, outputs: int, norm: type, resample: int = 0) -> None:
        super().__init__()
        bias = norm is Plain
        self.resample = resample
        self.norm0, self.norm1 = norm(inputs), norm(outputs)
        self.conv0 = conv(inputs, outputs, 3, bias=bias)
        self.conv1 = conv(outputs, outputs, 3, bias=bias)
        self.skip = conv(inputs, outputs, 1) if inputs != outputs or resample else None
        self.halve = Halving() if resample < 0 else None
        self.affine = self.norm0.affine + self.norm1.affine

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        first = second = None
        if coefficients is not None:
            first, second = coefficients.split([self.norm0.affine, self.norm1.affine], dim=1)
        body = F.relu(self.norm0(x, first))
        if self.resample > 0:
            body = F.interpolate(body, scale_factor=2.0)
        body = F.relu(self.norm1(self.conv0(body), second))
        body = self.halve(self.conv1, body) if self.halve else self.conv1(body)
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
