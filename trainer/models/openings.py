"""What opens in a face, mouth and eyes: which triangles lie in it, and whether a photo shows it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fsh.schemas.faces.mesh import LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP
from fsh.schemas.faces.mesh_triangles import TRIANGLES
from fsh.trainer.models.head_motion import Placed
from fsh.trainer.models.rasterize import Fragments

#: The rims of what opens: inner lips and lids, with the irises in them. Inside, a photo is trusted
#: as far as it is open there as well as the target: from the larger share of the other's area on in
#: full, up to the smaller one not at all.
_OPENINGS = (
    (*UPPER_LIP, *LOWER_LIP),
    (*UPPER_LIDS[0], *LOWER_LIDS[0], 468, 469, 471),
    (*UPPER_LIDS[1], *LOWER_LIDS[1], 473, 474, 476),
)
#: Numbers of the triangles that lie in them, the mouth's first.
_OPENING_TRIANGLES = [np.flatnonzero(np.isin(TRIANGLES, rim).all(1)) for rim in _OPENINGS]
_SHUT, _OPEN = 0.15, 0.4
#: An eye that is open by less than the smaller share of how it is in the photo is as good as shut.
_EYE_SHUT, _EYE_OPEN = 0.3, 0.55


def shows_mouth(shown: Fragments) -> Tensor:
    """bool (B, H, H): what is between the lips."""
    mouth = torch.zeros(len(TRIANGLES) + 1, dtype=torch.bool, device=shown.triangles.device)
    mouth[_OPENING_TRIANGLES[0]] = True
    return mouth[shown.triangles]  # the last one, of no triangle, is False


def mouth_areas(mesh: Tensor, placed: Placed) -> Tensor:
    """(B,): areas between the lips, doubled, over the square of the heads' sizes."""
    inside = torch.from_numpy(TRIANGLES[_OPENING_TRIANGLES[0]]).to(mesh.device)
    return areas(mesh, inside).sum(1) / placed[0] ** 2


def opened(target: Tensor, source: Tensor, triangles: Tensor) -> Tensor:
    """(B, T), 0…1: whether mouth and eyes are open in the photo too; 1 outside of them.

    A mouth that is shut has no inside to copy: stretched lips would be shown in its place. And one
    that shuts hides what the photo shows: squeezed, it would be a white line between lips or lids.
    """
    trust = target.new_ones(len(target), len(triangles))
    grown = (areas(source, triangles), areas(target, triangles))
    for rim, numbers in zip(_OPENINGS, _OPENING_TRIANGLES, strict=True):
        inside = torch.from_numpy(numbers).to(triangles.device)
        was, now = (one[:, inside].sum(1) for one in grown)
        known = ((was / now - _SHUT) / (_OPEN - _SHUT)).clamp(0, 1)
        least, most = (_EYE_SHUT, _EYE_OPEN) if 468 in rim or 473 in rim else (_SHUT, _OPEN)
        seen = ((now / was - least) / (most - least)).clamp(0, 1)
        trust[:, inside] = (known * seen)[:, None]
    return trust


def areas(mesh: Tensor, triangles: Tensor) -> Tensor:
    """(B, T): areas of the triangles in the picture, doubled."""
    a, b, c = mesh[:, triangles, :2].unbind(2)
    ab, ac = b - a, c - a
    return (ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0]).abs().clamp_min(1e-7)
