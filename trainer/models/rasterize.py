"""Which triangle of a mesh each pixel shows, and where in it: by tensor operations alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: Depths are compared in this part of a pixel.
_DEPTH_STEPS = 256
_DEPTH_RANGE = 1 << 20


class Fragments(NamedTuple):
    """What each pixel of a picture of H × H shows of a mesh.

    Attributes:
        triangles: int64 (B, H, H), numbers of triangles; −1 where there is none.
        weights: float32 (B, H, H, 3), the pixel's barycentric coordinates in it; 0 where none is.
    """

    triangles: Tensor
    weights: Tensor

    @property
    def covered(self) -> Tensor:
        """bool (B, H, H): pixels that show a triangle."""
        return self.triangles >= 0

    def repeated(self, count: int) -> Fragments:
        """Every picture so many times, one after the other."""
        return Fragments(*(one.repeat_interleave(count, 0) for one in self)) if count > 1 else self

    def interpolate(self, values: Tensor, triangles: Tensor) -> Tensor:
        """Values of vertices (B, V, C) at the pixels: (B, H, H, C), 0 where no triangle is.

        Args:
            triangles: int64 (T, 3), the mesh's.
        """
        shown = self.covered.nonzero(as_tuple=True)
        corners = triangles[self.triangles[shown]] + shown[0][:, None] * values.shape[1]
        weights = self.weights[shown]
        flat = values.flatten(0, 1)
        parts = [flat[corners[:, i]] * weights[:, i, None] for i in range(3)]
        found = values.new_zeros(*self.triangles.shape, values.shape[-1])
        found[shown] = parts[0] + parts[1] + parts[2]
        return found


def rasterize(vertices: Tensor, triangles: Tensor, side: int) -> Fragments:
    """The nearest triangle at every pixel's centre.

    Candidates are the pixels in each triangle's bounding box: a face's triangles are a few pixels
    large, so that there are hardly more of them than pixels.

    Args:
        vertices: float32 (B, V, 3): x and y in shares of the picture's side (0…1 is inside), depth
            in the same scale, less is nearer.
        triangles: int64 (T, 3), fewer than 1024 of them; both windings are drawn.
        side: H, pixels.
    """
    batch, device = len(vertices), vertices.device
    points = vertices * side - vertices.new_tensor([0.5, 0.5, 0.0])  # pixel centres are whole
    corners = points[:, triangles]  # (B, T, 3, 3)
    flat = corners[..., :2]
    low = flat.amin(2).ceil().clamp(0, side).long()
    high = flat.amax(2).floor().clamp(-1, side - 1).long()
    box = (high - low + 1).clamp_min(0)  # (B, T, 2)
    areas = (box[..., 0] * box[..., 1]).flatten()
    owner = torch.repeat_interleave(torch.arange(areas.numel(), device=device), areas)
    first = areas.cumsum(0) - areas
    inner = torch.arange(owner.numel(), device=device) - first[owner]
    width = box[..., 0].flatten()[owner]
    x = low[..., 0].flatten()[owner] + inner % width
    y = low[..., 1].flatten()[owner] + inner // width
    # Cramer's rule once per triangle: a pixel's first two coordinates are linear in x and y.
    a, b, c = (corners.flatten(0, 1)[:, i] for i in range(3))
    ab, ac = b - a, c - a
    double = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    inverse = torch.where(double.abs() > 1e-9, 1 / double, torch.zeros_like(double))
    dx, dy = x - a[owner, 0], y - a[owner, 1]
    second = (dx * ac[owner, 1] - dy * ac[owner, 0]) * inverse[owner]
    third = (dy * ab[owner, 0] - dx * ab[owner, 1]) * inverse[owner]
    weights = torch.stack([1 - second - third, second, third], 1)
    inside = (weights >= -1e-4).all(1) & (inverse[owner] != 0)
    owner, weights = owner[inside], weights[inside]
    x, y = x[inside], y[inside]
    depth = (weights * corners.flatten(0, 1)[owner, :, 2]).sum(1)
    nearness = (_DEPTH_RANGE // 2 - depth * _DEPTH_STEPS).clamp(0, _DEPTH_RANGE - 1).long()
    image, triangle = owner // len(triangles), owner % len(triangles)
    place = (image * side + y) * side + x
    key = nearness * 1024 + triangle
    best = torch.full((batch * side * side,), -1, dtype=torch.int64, device=device)
    best.scatter_reduce_(0, place, key, "amax")
    won = best[place] == key
    shares = weights.new_zeros(batch * side * side, 3)
    shares[place[won]] = weights[won]
    shown = torch.where(best >= 0, best % 1024, best)
    return Fragments(shown.view(batch, side, side), shares.view(batch, side, side, 3))
