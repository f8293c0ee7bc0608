"""Where heads are, and how one has moved from a photo to a picture.

Coordinates are shares of a picture's side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fsh.schemas.faces.mesh import MEAN_RIGID, MESH_POINTS, RIGID_MESH

#: The middle of the head in the mean head's units (:data:`fsh.schemas.faces.mesh.MEAN_HEAD`).
MIDDLE = (0.0, 0.33, 0.47)
#: What takes a mean head to B heads: scale (B,), rotation (B, 3, 3) and shift (B, 3).
Placed = tuple[Tensor, Tensor, Tensor]


def place_heads(meshes: Tensor) -> Placed:
    """Scale, rotation and shift that take a mean head to meshes (B, 478, 3).

    Least squares over the rigid points (Umeyama 1991), as
    :func:`fsh.schemas.faces.mesh.place_mesh`.
    """
    source = torch.from_numpy(MEAN_RIGID).to(meshes)
    target = meshes[:, torch.from_numpy(RIGID_MESH).to(meshes.device)]
    a, b = source.mean(0), target.mean(1, keepdim=True)
    s, d = source - a, target - b
    left, strength, right = torch.linalg.svd(d.mT @ s)
    sign = torch.ones_like(strength)
    sign[:, 2] = torch.det(left @ right).sign()  # no reflection
    rotation = (left * sign[:, None]) @ right
    scale = (strength * sign).sum(1) / (s**2).sum()
    return scale, rotation, b[:, 0] - scale[:, None] * (rotation @ a)


def head_motion(target: Tensor, source: Tensor) -> Tensor:
    """float32 (B·K, 2, 4): the map that takes places of the picture to the photo's, for what goes
    with the head; in the last column how its middle moved.

    Moved, grown and tilted, but not turned: a head of hair is round, so that its outline looks the
    same from the side, and what is beside the face goes where the middle of the head does.

    Args:
        target: (B, 478, 3), or (B, 68, 2). source: of K photos for each, one target's after the
            other's.
    """
    target = target.repeat_interleave(len(source) // len(target), 0)
    if target.shape[1] == MESH_POINTS:
        return placed_motion(place_heads(target), place_heads(source))
    here, there = target.mean(1), source.mean(1)
    a, b = target - here[:, None], source - there[:, None]
    return _motion(here, there, b.mT @ a, b.norm(dim=(1, 2)) / a.norm(dim=(1, 2)))


def placed_motion(target: Placed, source: Placed) -> Tensor:
    """:func:`head_motion` of meshes whose heads are placed already, one photo for each target."""
    (size, turn, shift), (own_size, own_turn, own_shift) = target, source
    middle = size.new_tensor(MIDDLE)
    here = size[:, None] * (turn @ middle) + shift
    there = own_size[:, None] * (own_turn @ middle) + own_shift
    return _motion(here, there, (own_turn @ turn.mT)[:, :2, :2], own_size / size)


def _motion(here: Tensor, there: Tensor, turned: Tensor, grown: Tensor) -> Tensor:
    """The map of heads whose middles (B, 2 or 3) were here and are there."""
    matrix = grown[:, None, None] * nearest_tilt(turned)
    here, there = here[:, :2, None], there[:, :2, None]
    return torch.cat([matrix, there - matrix @ here, there - here], 2)


def nearest_tilt(matrix: Tensor) -> Tensor:
    """The rotation (B, 2, 2) nearest to each of (B, 2, 2)."""
    cosine = matrix[:, 0, 0] + matrix[:, 1, 1]
    sine = matrix[:, 1, 0] - matrix[:, 0, 1]
    length = torch.hypot(cosine, sine).clamp_min(1e-9)
    cosine, sine = cosine / length, sine / length
    return torch.stack([cosine, -sine, sine, cosine], 1).unflatten(1, (2, 2))
