"""A generator for one person only: whatever depends on the person alone is folded into weights.

ψ is a constant, so AdaIN's shifts and scales are. Resampling is linear, as a convolution is, so the
two are one: a 3×3 convolution of an image doubled in size is a transposed 4×4 convolution of the
small one, and halved after it a 4×4 convolution of every second place; both take 4/9 of the
arithmetic, and neither large image is ever made. The last convolution makes 2×2 places at a time,
because three channels fill a fifth of a vector register. Outputs are the generator's but for
rounding.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsh.trainer.models.blocks import AdaIN, FirstDown, InstanceNorm, Residual, convolve_with_box
from fsh.trainer.models.composition import Answer
from fsh.trainer.models.networks import Generator, channels_last
from fsh.trainer.models.norms import EPSILON
from fsh.trainer.models.references import References


class FoldedGenerator(nn.Module):
    """Landmark images (N, 3, H, H) in 0…1 to images (N, 3, H, H) in −1…1 of one person.

    With references, landmark images and those to the generator's answer.

    Args:
        generator: baked (:func:`fsh.trainer.models.networks.bake`); it is copied.
        coefficients: ψ (1, ψ̂).
    """

    def __init__(self, generator: Generator, coefficients: Tensor) -> None:
        super().__init__()
        generator = copy.deepcopy(generator)
        parts = coefficients.detach()[0].split(generator.sizes)
        self.down = nn.ModuleList(fold_block(block, None) for block in generator.down)
        self.up = nn.ModuleList(
            fold_block(block, part) for block, part in zip(generator.up, parts[:-1], strict=True)
        )
        self.skips = generator.skips
        self.norm, self.mouth = fold_norm(generator.norm, parts[-1]), generator.mouth
        # An answer's many channels fill the registers as they are.
        self.last = generator.last if generator.mouth else fold_last(generator.last)
        channels_last(self).requires_grad_(False).eval()

    def forward(
        self, landmark_images: Tensor, references: References | None = None
    ) -> Tensor | Answer:
        x = landmark_images
        if references is not None:
            x = torch.cat([x, references.maps], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        seen = []
        for block in self.down:
            if isinstance(block, FoldedFirstDown | FoldedResidual):
                seen.append(x)
            x = block(x)
        skips = iter(self.skips)
        for block in self.up:
            x = block(x)
            if self.skips and isinstance(block, FoldedResidual) and block.resample > 0:
                x = x + next(skips)(seen.pop())
        x = self.last(self.norm(x))
        if references is None or self.mouth is None:
            return torch.tanh(F.pixel_shuffle(x, 2))
        return Answer(x, self.mouth(references.mouth_maps))


def fold_block(block: nn.Module, part: Tensor | None) -> nn.Module:
    """A block of the generator for one person; ``part``: its coefficients of ψ, if it has some."""
    if isinstance(block, FirstDown):
        return FoldedFirstDown(block)
    return FoldedResidual(block, part) if isinstance(block, Residual) else block


class FoldedFirstDown(nn.Module):
    """:class:`FirstDown` with its pooling in the second convolution."""

    def __init__(self, block: FirstDown) -> None:
        super().__init__()
        self.conv0, self.conv1, self.skip = block.conv0, fold_pooling(block.conv1), block.skip

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1(F.relu(self.conv0(x))) + self.skip(F.avg_pool2d(x, 2))


class FoldedResidual(nn.Module):
    """:class:`Residual` with fixed norms and its resampling in a convolution."""

    def __init__(self, block: Residual, part: Tensor | None) -> None:
        super().__init__()
        parts = [None, None]
        if part is not None:
            parts = part.split([block.norm0.affine, block.norm1.affine])
        self.norm0, self.norm1 = fold_norm(block.norm0, parts[0]), fold_norm(block.norm1, parts[1])
        self.resample, self.skip = block.resample, block.skip
        self.conv0 = fold_upsampling(block.conv0) if self.resample > 0 else block.conv0
        self.conv1 = fold_pooling(block.conv1) if self.resample < 0 else block.conv1

    def forward(self, x: Tensor) -> Tensor:
        body = self.conv1(self.norm1(self.conv0(self.norm0(x))))
        if self.resample < 0:
            x = F.avg_pool2d(x, 2)
        if self.skip is not None:
            x = self.skip(x)
        return body + x if self.resample <= 0 else _add_upsampled(body, x)


class FixedInstanceNorm(nn.Module):
    """Instance normalisation with a given shift and scale per channel, and the ReLU after it.

    Written out: PyTorch's own leaves the channels-last layout, and the two copies cost more than
    the norm.
    """

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift.clone())
        self.register_buffer("scale", scale.clone())
        self.shift: Tensor
        self.scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        flat = x.permute(0, 2, 3, 1).flatten(1, 2)  # no copy: channels come last already
        mean = flat.mean(1)
        variance = (flat * flat).mean(1) - mean * mean
        gain = self.scale * torch.rsqrt(variance.clamp_min(0) + EPSILON)
        shift = self.shift - mean * gain
        return torch.addcmul(shift[:, :, None, None], x, gain[:, :, None, None]).relu_()


def fold_norm(norm: nn.Module, part: Tensor | None) -> FixedInstanceNorm:
    """A norm of the generator for one person; ``part``: its shifts and scales, if ψ has them."""
    if isinstance(norm, InstanceNorm):
        return FixedInstanceNorm(norm.norm.bias.detach(), norm.norm.weight.detach())
    assert isinstance(norm, AdaIN) and part is not None
    shift, scale = part.chunk(2)
    return FixedInstanceNorm(shift, scale)


def fold_pooling(conv: nn.Module) -> nn.Conv2d:
    """The 3×3 convolution and the 2×2 average pooling after it as one."""
    assert isinstance(conv, nn.Conv2d)
    one = nn.Conv2d(conv.in_channels, conv.out_channels, 4, 2, 1, bias=conv.bias is not None)
    return _with_weights(one, convolve_with_box(conv.weight.detach()) / 4, conv.bias)


def fold_upsampling(conv: nn.Module) -> nn.ConvTranspose2d:
    """The nearest enlargement to twice the size and the 3×3 convolution after it as one."""
    assert isinstance(conv, nn.Conv2d)
    bias = conv.bias is not None
    one = nn.ConvTranspose2d(conv.in_channels, conv.out_channels, 4, 2, 1, bias=bias)
    weight = convolve_with_box(conv.weight.detach().flip(2, 3)).transpose(0, 1)
    return _with_weights(one, weight, conv.bias)


def fold_last(conv: nn.Module) -> nn.Conv2d:
    """A 3×3 convolution to C channels as one to 4·C channels at every second place.

    ``F.pixel_shuffle`` of its output by 2 is the output of ``conv``.
    """
    assert isinstance(conv, nn.Conv2d)
    outputs, inputs = conv.out_channels, conv.in_channels
    weight = conv.weight.new_zeros(outputs, 2, 2, inputs, 4, 4)
    for down in (0, 1):
        for right in (0, 1):
            weight[:, down, right, :, down : down + 3, right : right + 3] = conv.weight.detach()
    bias = None if conv.bias is None else conv.bias.repeat_interleave(4)
    one = nn.Conv2d(inputs, 4 * outputs, 4, 2, 1, bias=bias is not None)
    return _with_weights(one, weight.flatten(0, 2), bias)


def _add_upsampled(large: Tensor, small: Tensor) -> Tensor:
    """``large`` plus ``small`` enlarged to twice its size (nearest), which is never made itself.

    Both (B, C, H, H), channels last.
    """
    places = large.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    total = places + small.permute(0, 2, 3, 1)[:, :, None, :, None]
    return total.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def _with_weights(layer, weight: Tensor, bias: Tensor | None):
    layer.weight = nn.Parameter(weight.contiguous())
    layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return layer
