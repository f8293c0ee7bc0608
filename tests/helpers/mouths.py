"""Heads with a mouth whose place and opening are known."""

from __future__ import annotations

import torch
from solid_head import placed

from fsh.schemas.faces.mesh import LOWER_LIP, MESH_CHIN, UPPER_LIP
from fsh.trainer.models.head_motion import place_heads
from fsh.trainer.models.inner_mouth import MouthPatch, mouth_patch

#: Side of a patch, pixels.
SIDE = 32
#: How far the chin is below the eyes when teeth bite, in a head's units.
_BITING = 1.2


def face(opening: float = 0.08, turn: float = 0.0) -> torch.Tensor:
    """A head whose inner lips are two arcs, so far apart, turned in the picture by radians."""
    mesh = placed()
    across = torch.linspace(-1, 1, len(UPPER_LIP))
    for lip, sign in ((UPPER_LIP, -1), (LOWER_LIP, 1)):
        mesh[list(lip), 0] = 0.5 + 0.1 * across
        mesh[list(lip), 1] = 0.6 + sign * opening / 2 * (1 - across**2)
    c, s = torch.cos(torch.tensor(turn)), torch.sin(torch.tensor(turn))
    flat = mesh[:, :2] - 0.5
    mesh[:, :2] = 0.5 + flat @ torch.stack([torch.stack([c, s]), torch.stack([-s, c])])
    return mesh


def patch(*meshes: torch.Tensor, colors: torch.Tensor | None = None) -> MouthPatch:
    count = len(meshes)
    shown = torch.zeros(count, 2, 3, SIDE, SIDE) if colors is None else colors
    return mouth_patch(torch.stack(meshes), shown, torch.ones(count, 2, 1, SIDE, SIDE), SIDE)


def smiling(lower_lip: float = 0.86, jaw: float | None = None) -> torch.Tensor:
    """A head whose mouth is open where mouths are.

    Args:
        lower_lip: how far its lower lip's edge lies below the eyes, in the head's units.
        jaw: how much lower its chin is than when teeth bite, in these units; None: it is not moved.
    """
    mesh = placed()
    (size,), (turn,), (shift,) = place_heads(mesh[None])
    across = torch.linspace(-1, 1, len(UPPER_LIP))
    for lip, middle in ((UPPER_LIP, 0.70), (LOWER_LIP, lower_lip)):
        height = 0.78 + (middle - 0.78) * (1 - across**2)
        local = torch.stack([0.26 * across, height, torch.full_like(across, -0.2)], 1)
        mesh[list(lip)] = size * (local @ turn.mT) + shift
    if jaw is not None:
        mesh[MESH_CHIN] = size * (turn @ torch.tensor([0.0, _BITING + jaw, -0.07])) + shift
    return mesh
