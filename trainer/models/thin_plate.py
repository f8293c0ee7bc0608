"""Thin-plate splines in batches on the device: where pictures read whose points are to move.

Coordinates are shares of a picture's side, 0…1 from edge to edge (Duchon 1977; Bookstein 1989).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Side of the grid on which a spline is evaluated; between its points it is interpolated.
_COARSE = 33


def places(count: int, side: int, like: Tensor) -> Tensor:
    """float32 (count, 2, side, side): the pixels' own centres."""
    line = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"))
    return grid.expand(count, -1, -1, -1)


def thin_plate_reads(target: Tensor, source: Tensor, slack: Tensor, side: int) -> Tensor:
    """The reads (B, 2, H, H) of thin-plate splines through points (B, N, 2), smoothed by (B, N)."""
    count = target.shape[1]
    system = target.new_zeros(len(target), count + 3, count + 3)
    system[:, :count, :count] = _radial(torch.cdist(target, target)) + torch.diag_embed(slack)
    system[:, :count, count] = system[:, count, :count] = 1
    system[:, :count, count + 1 :], system[:, count + 1 :, :count] = target, target.mT
    moves = torch.cat([source - target, target.new_zeros(len(target), 3, 2)], 1)
    weights = torch.linalg.solve(system, moves)
    line = torch.linspace(0, 1, _COARSE, device=target.device)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).flatten(0, 1)
    grid = grid.expand(len(target), -1, -1)
    ones = torch.ones_like(grid[..., :1])
    basis = torch.cat([_radial(torch.cdist(grid, target)), ones, grid], 2)
    reads = (grid + basis @ weights).mT.unflatten(2, (_COARSE, _COARSE))
    at = places(len(target), side, target).movedim(1, -1) * 2 - 1
    return F.grid_sample(reads, at, align_corners=True)


def _radial(distance: Tensor) -> Tensor:
    return distance**2 * torch.log(distance.clamp_min(1e-6))
