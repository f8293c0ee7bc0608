"""Spectral and instance normalisation, each with a gradient of its own.

The gradients that autograd derives from the formulas go over weights and pictures several times
more often.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Keeps normalisations finite in half precision; the authors' code uses it throughout.
EPSILON = 1e-4


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
            return cast(Tensor, _DivideBySpectralNorm.apply(weight, u, v))

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
    """(out, in) or (out, in, h, w) as (out, all else): a view if memory is channels last."""
    return weight if weight.dim() < 4 else weight.permute(0, 2, 3, 1).flatten(1)


class _DivideBySpectralNorm(torch.autograd.Function):
    """w / σ with σ = uᵀWv; autograd's own gradient would go over the weights eight times."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        sigma = torch.vdot(u, torch.mv(_matrix(weight), v))
        quotient = weight / sigma
        ctx.save_for_backward(quotient, u, v, sigma)
        return quotient

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        """(s − ⟨s, w/σ⟩ u vᵀ) / σ for a slope s."""
        quotient, u, v, sigma = ctx.saved_tensors
        slope = _matrix(slopes[0])
        along = torch.vdot(slope.reshape(-1), _matrix(quotient).reshape(-1))
        slope = torch.addr(slope, u * -along, v).div_(sigma)
        if quotient.dim() == 4:
            outputs, inputs, height, width = quotient.shape
            slope = slope.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
        return slope, None, None


class _InstanceNorm(torch.autograd.Function):
    """Instance normalisation in channels-last memory.

    PyTorch's own copies to channels first and hands that layout on to whatever comes next; with
    its gradient it takes up to three times as long on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        flat = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, positions, C), a view
        centered = flat - flat.mean(1, keepdim=True)
        inverse = torch.rsqrt((centered * centered).mean(1, keepdim=True) + EPSILON)
        ctx.save_for_backward(centered, inverse, scale)
        out = torch.addcmul(shift[:, None], centered, scale[:, None] * inverse)
        return out.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """γ/σ·(s − mean(s) − x̂·mean(s·x̂)) for a slope s and x̂ the input normalised."""
        centered, inverse, scale = ctx.saved_tensors
        slope = slopes[0].permute(0, 2, 3, 1).flatten(1, 2)
        gain, count = scale[:, None] * inverse, slope.shape[1]
        total = slope.sum(1, keepdim=True)
        along = (slope * centered).sum(1, keepdim=True) * inverse
        pulled = torch.addcmul(-gain * total / count, centered, -gain * inverse * along / count)
        pulled = pulled.addcmul_(slope, gain)
        back = pulled.unflatten(1, slopes[0].shape[2:]).permute(0, 3, 1, 2)
        if len(scale) < len(slope):  # one shift and scale for the whole batch
            total, along = total.sum(0, keepdim=True), along.sum(0, keepdim=True)
        return back, total[:, 0], along[:, 0]


def instance_norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (B, C, H, H), each channel normalised over its positions, then scaled and shifted.

    Args:
        shift, scale: (B or 1, C), the mean and the standard deviation that the output has.
    """
    if x.device.type == "cpu" and x.dtype == torch.float32:
        return cast(Tensor, _InstanceNorm.apply(x, shift, scale))
    return torch.addcmul(
        shift[:, :, None, None], F.instance_norm(x, eps=EPSILON), scale[:, :, None, None]
    )
