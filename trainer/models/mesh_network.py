"""MediaPipe's face mesh network in torch, frozen: where the points of a drawn face are seen to lie.

It is the network that the landmarks of a data set come from (:mod:`fsh.schemas.mesh_network`); here
it has a gradient, for a loss that moves lids, lips and heads to where they should be.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsh.schemas.mesh import MESH_EYE_CORNERS, MESH_POINTS
from fsh.schemas.mesh_network import MESH_INPUT, MESH_WINDOW, MeshGraph, MeshLayer


class MeshNetwork(nn.Module):
    """The network: windows (B, 3, 256, 256) in 0…1 to points (B, 478, 3) in their pixels."""

    def __init__(self, graph: MeshGraph) -> None:
        super().__init__()
        self._graph = graph
        self.layers = nn.ModuleList(map(_module, graph.layers))
        self.requires_grad_(False).eval()

    def forward(self, windows: Tensor) -> Tensor:
        made = {self._graph.image: windows}
        last = {i: n for n, layer in enumerate(self._graph.layers) for i in layer.inputs}
        for number, (layer, module) in enumerate(zip(self._graph.layers, self.layers, strict=True)):
            made[layer.output] = module(*(made[i] for i in layer.inputs))
            for i in layer.inputs:  # what nobody asks for again needs no memory
                if last[i] == number:
                    made.pop(i, None)
        return made[self._graph.points].reshape(-1, MESH_POINTS, 3)


class _Same(nn.Module):
    """A convolution with zeros added as TFLite's SAME adds them."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        missing = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
        before = missing // 2
        return self.convolution(F.pad(x, (before, missing - before) * 2))


class _Padded(nn.Module):
    """Channels of zeros added."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, 0, *self.channels))


class _Sum(nn.Module):
    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


def _module(layer: MeshLayer) -> nn.Module:
    if layer.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return _convolution(layer)
    if layer.kind == "PRELU":
        slopes = nn.PReLU(len(layer.arrays["slopes"]))
        return _filled(slopes, layer.arrays["slopes"])
    if layer.kind == "PAD":
        before, after = (int(n) for n in layer.arrays["channels"])
        return _Padded((before, after))
    return _Sum() if layer.kind == "ADD" else nn.MaxPool2d(2, layer.stride)


def _convolution(layer: MeshLayer) -> nn.Module:
    weights = layer.arrays["weights"]
    filters, channels, side, _ = weights.shape
    groups = filters if layer.kind == "DEPTHWISE_CONV_2D" else 1
    even = layer.same and layer.stride == 1 and side % 2 == 1
    made = nn.Conv2d(
        channels * groups,
        filters,
        side,
        layer.stride,
        padding=side // 2 if even else 0,
        groups=groups,
    )
    _filled(made, weights, layer.arrays["biases"])
    return made if even or not layer.same else _Same(made)


def _filled(module: nn.Module, weights: np.ndarray, biases: np.ndarray | None = None) -> nn.Module:
    """A module with these values."""
    values = {"weight": weights} if biases is None else {"weight": weights, "bias": biases}
    module.load_state_dict({name: torch.from_numpy(array) for name, array in values.items()})
    return module


def face_windows(points: Tensor) -> Tensor:
    """float32 (B, 2, 3): where a window around each face lies, turned so that its eyes are level.

    A window's places −1…1 (and 1 behind them) to the picture's −1…1, as ``F.affine_grid`` takes it.

    Args:
        points: (B, 478, 2 or more), meshes in shares of the picture.
    """
    points = points[..., :2]
    left, right = MESH_EYE_CORNERS
    across = F.normalize(points[:, right] - points[:, left], dim=1)
    turn = torch.stack([across, torch.stack([-across[:, 1], across[:, 0]], 1)], 2)
    level = points @ turn
    low, high = level.amin(1), level.amax(1)
    middle = (turn @ ((low + high) / 2)[:, :, None])[..., 0]
    side = MESH_WINDOW * (high - low).amax(1)
    return torch.cat([turn * side[:, None, None], (2 * middle - 1)[:, :, None]], 2)


def look(network: nn.Module, pictures: Tensor, windows: Tensor) -> Tensor:
    """The points (B, 478, 3) that the network sees in windows of pictures, in shares of those.

    Args:
        pictures: (B, 3, P, P) in −1…1. windows: as :func:`face_windows` gives them.
    """
    size = [len(pictures), 3, MESH_INPUT, MESH_INPUT]
    grid = F.affine_grid(windows, size, align_corners=False)
    seen = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    return network((seen + 1) / 2) / MESH_INPUT
