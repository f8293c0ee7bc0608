"""What is seen between the lips, painted in the mouth's own coordinates.

A photo with its mouth shut shows nothing of it, and at a network's 64 pixels a row of teeth is less
than one pixel high. So each place between the lips is painted by itself, at the picture's size,
from where it lies: under the upper lip, over the lower one, and on the two rows of teeth
(:mod:`fsh.trainer.models.teeth`), how far the mouth is open and the head is turned, and the colors
of the lips and the skin around them. What paints: :mod:`fsh.trainer.models.mouth_paint`.

Coordinates are shares of a picture's side, as in :mod:`fsh.trainer.models.face_warp`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fsh.schemas.faces.mesh import (
    LOWER_LIP,
    MESH_CHEEKS,
    MESH_CHIN,
    MESH_NOSE_FOOT,
    MESH_POINTS,
    UPPER_LIP,
)
from fsh.trainer.models.mouth_warp import curve
from fsh.trainer.models.teeth import Row, tooth_rows

#: Points whose colors are known from photos: corners of the mouth, upper lip, lower lip, skin.
_COLORED = ((61, 291, 40, 270), (0, 37, 267), (17, 84, 314), (164, 393, 167))
#: A patch is so many times as wide as the mouth, or as it is open if that is more.
_PATCH = 1.25
#: Waves per unit in which a place's coordinates are given.
_WAVES = (1.0, 2.0)
_WAVE = (torch.sin, torch.cos)
#: Coordinates of a place, counted in quarters of the mean head's unit.
QUARTERS, _PLACED = 4.0, 5
#: What is known of a place on the rows of teeth; of a mouth's shape; and of the colors around it,
#: the skin's last.
TEETH, SHAPE, COLORS = 6, 6, 12
#: Maps of where each place lies: its coordinates, and waves of them.
WAVED = _PLACED * (1 + 2 * len(_WAVES))


class MouthPatch(NamedTuple):
    """B mouths, each in a square of its own, S × S; or in the rows of it that show something.

    Attributes:
        maps: float32 (B, C, S, S), where each place lies in its mouth, and what is known of it.
        inside: float32 (B, 1, S, S), 0…1: between the lips.
        frame: float32 (B, 2, 3), takes places in the picture to places in the patch, −1…1 both.
    """

    maps: Tensor
    inside: Tensor
    frame: Tensor

    def trimmed(self) -> MouthPatch:
        """The same mouths without the rows above and below all of them: most are hardly open.

        Its size depends on what is in it, so that a device has to be waited for: for drawing.
        """
        side = self.inside.shape[-1]
        rows = self.inside.amax((0, 1, 3)).nonzero()[:, 0].tolist() or [side // 2]
        # Two rows of nothing around them, from which the lips' edges are read as before.
        first, end = max(0, rows[0] - 2), min(side, rows[-1] + 3)
        middle, half = (first + end) / side - 1, (end - first) / side
        frame = self.frame.clone()
        frame[:, 1, 2] -= middle
        frame[:, 1] /= half
        return MouthPatch(self.maps[:, :, first:end], self.inside[:, :, first:end], frame)

    def window(self, side: int) -> tuple[slice, slice]:
        """The rows and columns of pictures of ``side`` pixels outside of which no mouth is."""
        turn = torch.linalg.inv(self.frame[:, :, :2])
        corners = turn @ torch.tensor([[-1.0, 1, -1, 1], [-1.0, -1, 1, 1]]).to(turn)
        corners = corners - turn @ self.frame[:, :, 2:]
        low = (corners.amin((0, 2)) + 1) / 2 * side
        high = (corners.amax((0, 2)) + 1) / 2 * side
        left, top = (min(max(0, math.floor(at)), side - 1) for at in low.tolist())
        right, bottom = (min(max(1, math.ceil(at)), side) for at in high.tolist())
        return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))

    def in_picture(
        self, painted: Tensor, side: int, window: tuple[slice, slice] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Painted patches (B, 3, S, S) where they belong in pictures of ``side`` pixels, and how
        much of each pixel they are (B, 1, side, side).

        Args:
            window: rows and columns of the pictures that are wanted; None: all.
        """
        both = torch.cat([painted.contiguous(), self.inside], 1)  # mouths end before their patch
        shown = F.grid_sample(both, _moved(self.frame, side, window), align_corners=False)
        return shown[:, :3], shown[:, 3:]

    def of_picture(self, pictures: Tensor) -> Tensor:
        """The patches (B, C, S, S) of pictures (B, C, P, P)."""
        turn = torch.linalg.inv(self.frame[:, :, :2])
        back = torch.cat([turn, -turn @ self.frame[:, :, 2:]], 2)
        grid = _moved(back, self.inside.shape[-1])
        return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def mouth_maps() -> int:
    """C, the number of maps of a patch."""
    return WAVED + TEETH + SHAPE + COLORS


def mouth_patch(mesh: Tensor, shown: Tensor, trust: Tensor, side: int) -> MouthPatch:
    """The mouths of B targets.

    Args:
        mesh: float32 (B, 478, 3), in shares; or (B, 68, 2), landmarks, of which nothing is painted.
        shown: float32 (B, K, 3, H, H), photos bent to the targets, −1…1: colors are theirs.
        trust: float32 (B, K, 1, H, H), where they are to be trusted.
        side: S.
    """
    if mesh.shape[1] != MESH_POINTS:
        nothing = mesh.new_zeros(len(mesh), mouth_maps(), side, side)
        return MouthPatch(nothing, nothing[:, :1], torch.eye(2, 3).to(mesh).expand(len(mesh), 2, 3))
    flat = mesh[..., :2]
    corners = flat[:, UPPER_LIP[0]], flat[:, UPPER_LIP[-1]]
    across = F.normalize(corners[1] - corners[0], dim=1)
    axes = torch.stack([across, torch.stack([-across[:, 1], across[:, 0]], 1)], 1)  # rows
    middle = flat[:, [UPPER_LIP[0], UPPER_LIP[-1], 13, 14]].mean(1)
    width = (corners[1] - corners[0]).norm(dim=1)
    gap = (flat[:, 13] - flat[:, 14]).norm(dim=1)
    half = _PATCH / 2 * torch.maximum(width, gap).clamp_min(1e-3)
    points = (flat - middle[:, None]) @ axes.mT / half[:, None, None]  # −1…1 is the patch
    # Shares to −1…1 of the picture and back: s = (p + 1) / 2.
    turn = axes / half[:, None, None]
    frame = torch.cat([turn / 2, turn @ (0.5 - middle)[..., None]], 2)
    line = (torch.arange(side, device=mesh.device) + 0.5) / side * 2 - 1
    columns = line.expand(len(mesh), -1)
    over, under = (curve(points[:, list(lip)], columns)[:, None] for lip in (UPPER_LIP, LOWER_LIP))
    y = line.view(1, -1, 1).expand(len(mesh), -1, side)
    x = line.view(1, 1, -1).expand(len(mesh), side, -1)
    between = points[:, UPPER_LIP[0], 0].view(-1, 1, 1), points[:, UPPER_LIP[-1], 0].view(-1, 1, 1)
    pixel = 2 / side
    inside = ((y - over) / pixel + 0.5).clamp(0, 1) * ((under - y) / pixel + 0.5).clamp(0, 1)
    inside = inside * ((x > between[0]) & (x < between[1]))
    grid = torch.stack([x, y], 1).expand(len(mesh), -1, -1, -1) * half.view(-1, 1, 1, 1)
    grid = torch.einsum("bij,bihw->bjhw", axes, grid) + middle[..., None, None]
    upper, lower, size = tooth_rows(mesh, grid)
    near = (half / size).view(-1, 1, 1)
    placed = [upper.along, upper.height, lower.height, (y - over) * near, (under - y) * near]
    one = QUARTERS * torch.stack(placed, 1)
    waves = [one] + [wave(math.pi * often * one) for often in _WAVES for wave in _WAVE]
    known = torch.cat(
        [_shape(mesh, points, gap / width.clamp_min(1e-3)), _colors(flat, shown, trust)], 1
    )
    known = known[..., None, None].expand(-1, -1, side, side)
    teeth = torch.stack([part for row in (upper, lower) for part in _of_row(row)], 1)
    return MouthPatch(torch.cat([*waves, teeth, known], 1), inside[:, None], frame)


def _of_row(row: Row) -> tuple[Tensor, Tensor, Tensor]:
    return row.along, row.across, row.gap


def _moved(frame: Tensor, side: int, window: tuple[slice, slice] | None = None) -> Tensor:
    """(B, side, side, 2): all pixels' places, −1…1, taken by affine maps (B, 2, 3).

    Args:
        window: rows and columns, if not all are wanted.
    """
    line = ((torch.arange(side, device=frame.device) + 0.5) / side * 2 - 1).to(frame)
    rows, columns = (line, line) if window is None else (line[part] for part in window)
    across, down, shift = (frame[:, None, None, :, i] for i in range(3))
    return columns[:, None] * across + (rows[:, None, None] * down + shift)


def _shape(mesh: Tensor, points: Tensor, openness: Tensor) -> Tensor:
    """(B, SHAPE): how far mouths are open, their width, how heads are turned, lips' places."""
    width = points[:, UPPER_LIP[-1], 0] - points[:, UPPER_LIP[0], 0]
    left, right = mesh[:, MESH_CHEEKS[0]], mesh[:, MESH_CHEEKS[1]]
    face = (points[:, MESH_CHEEKS[0]] - points[:, MESH_CHEEKS[1]]).norm(dim=1).clamp_min(1e-3)
    flat = (right - left)[:, :2].norm(dim=1).clamp_min(1e-3)
    down = mesh[:, MESH_CHIN] - mesh[:, 10]
    turned = (right - left)[:, 2] / flat
    bowed = down[:, 2] / down[:, :2].norm(dim=1).clamp_min(1e-3)
    upper = (points[:, 13, 1] - points[:, MESH_NOSE_FOOT, 1]) / face
    lower = (points[:, MESH_CHIN, 1] - points[:, 14, 1]) / face
    return torch.stack([3 * openness, 2 * width / face, turned, bowed, 3 * upper, 2 * lower], 1)


def _colors(flat: Tensor, shown: Tensor, trust: Tensor) -> Tensor:
    """(B, COLORS): mean colors of lips and skin in photos bent to the targets, where trusted."""
    groups = [flat[:, list(group)] for group in _COLORED]
    grid = (torch.cat(groups, 1) * 2 - 1)[:, None]
    count = shown.shape[1]
    grid = grid.repeat_interleave(count, 0)
    seen = torch.cat([shown, trust], 2).flatten(0, 1)
    seen = F.grid_sample(seen, grid, padding_mode="border", align_corners=False)[:, :, 0]
    seen = seen.unflatten(0, (-1, count))
    weights = seen[:, :, 3:].clamp_min(1e-2)
    mixed = (seen[:, :, :3] * weights).sum(1) / weights.sum(1)
    means = [part.mean(2) for part in mixed.split([len(group) for group in _COLORED], 2)]
    return torch.cat(means, 1)
