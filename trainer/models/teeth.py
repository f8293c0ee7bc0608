"""Where teeth are: two arches of them, the upper one fixed to the skull, the lower one to the chin.

People's teeth differ less than what their lips do: the line between the two middle ones lies under
the nose, they are a tenth as wide as the eyes are apart, and the upper edge of sight is the lip. So
which tooth a place between the lips lies on follows from how the head is held, before anything is
learned. Widths are means of dental anatomy (crowns of 8.5, 6.5, 7.5 and 7 mm above, 5.3, 5.9, 6.9
and 7 mm below, from the middle outwards).

Lengths are in units of the mean head (:data:`fsh.schemas.faces.mesh.MEAN_HEAD`), 90 mm: the
distance of the eyes' outer corners.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fsh.schemas.faces.mesh import MESH_CHIN
from fsh.trainer.models.head_motion import Placed, place_heads

_MILLIMETRES = 90.0
#: Where one tooth ends and the next begins, from the middle outwards along the arch.
_UPPER = tuple(mm / _MILLIMETRES for mm in (0.0, 8.5, 15.0, 22.5, 29.5))
_LOWER = tuple(mm / _MILLIMETRES for mm in (0.0, 5.3, 11.2, 18.1, 25.1))
#: The arch seen from above: depth of its front, and how it bends back, ``z = front + bend · x²``.
_FRONT, _BEND = -0.22, 2.2
#: Half an arch's width; beyond it is the cheek.
_REACH = 0.3
#: Steps in which the place on the arch that a pixel shows is found.
_STEPS = 3
#: Heads turned further away than this (cosine squared) are taken as turned so far.
_LEAST_SEEN = 0.02
#: Of the upper row, how far its edge is below the eyes; of the lower one, over the chin; and how
#: both bend with the square of the distance from the middle.
UPPER_EDGE, LOWER_EDGE, UPPER_BEND, LOWER_BEND = 0.79, 0.43, -0.35, -0.4
#: What heights are counted from: below the eyes above, over the chin below.
UPPER_HEIGHT, LOWER_HEIGHT = 0.7, 0.4


class Row(NamedTuple):
    """Where places lie on a row of teeth.

    Attributes:
        along: float32 (B, S, S), along the arch from its middle, to the picture's right.
        height: float32 (B, S, S), downwards from :data:`UPPER_HEIGHT` below the eyes, or upwards
            from :data:`LOWER_HEIGHT` over the chin.
        across: float32 (B, S, S), −1…1 from one side of a tooth to the other.
        gap: float32 (B, S, S), distance of the nearest line between two teeth.
    """

    along: Tensor
    height: Tensor
    across: Tensor
    gap: Tensor


def tooth_rows(mesh: Tensor, places: Tensor) -> tuple[Row, Row, Tensor]:
    """The upper and the lower row, and the unit in shares of the picture's side (B,).

    Args:
        mesh: (B, 478, 3), in shares. places: (B, 2, S, S), in shares.
    """
    placed = place_heads(mesh)
    x, y = on_arches(placed, places).unbind(1)
    chin_x, chin_y = (in_head(placed, mesh[:, MESH_CHIN])[:, i, None, None] for i in (0, 1))
    return (
        _row(x, y - UPPER_HEIGHT, _UPPER),
        _row(x - chin_x, chin_y - y - LOWER_HEIGHT, _LOWER),
        placed[0],
    )


def on_arches(placed: Placed, places: Tensor) -> Tensor:
    """(B, 2, S, S): what places (B, 2, S, S) show, in the head's units to its left and down from
    between the eyes, if that lies on the arches."""
    size, turn, shift = placed
    scaled = size[:, None, None] * turn[:, :2]
    flat, deep = scaled[:, :, :2], scaled[:, :, 2:]
    # Least squares, damped: of a profile's width nothing is seen.
    damped = flat.mT @ flat + _LEAST_SEEN * size[:, None, None] ** 2 * torch.eye(2).to(flat)
    back = torch.linalg.inv(damped) @ flat.mT
    seen = places.flatten(2) - shift[:, :2, None]
    z = torch.full_like(seen[:, :1], _FRONT)
    at = seen
    for _ in range(_STEPS):
        at = back @ (seen - deep * z)
        z = _depth(at[:, :1])
    return at.unflatten(2, places.shape[-2:])


def seen_on_arches(placed: Placed, points: Tensor) -> Tensor:
    """(B, 2, S, S): where points (B, 2, S, S) of the arches are seen, the inverse of
    :func:`on_arches`."""
    size, turn, shift = placed
    flat = points.flatten(2)
    solid = torch.cat([flat, _depth(flat[:, :1])], 1)
    seen = size[:, None, None] * (turn[:, :2] @ solid) + shift[:, :2, None]
    return seen.unflatten(2, points.shape[-2:])


def in_head(placed: Placed, point: Tensor) -> Tensor:
    """(B, 3): points of meshes (B, 3) in the head's units."""
    size, turn, shift = placed
    return (turn.mT @ (point - shift)[..., None])[..., 0] / size[:, None]


def _depth(x: Tensor) -> Tensor:
    return _FRONT + _BEND * x.clamp(-_REACH, _REACH) ** 2


def _row(x: Tensor, height: Tensor, ends: tuple[float, ...]) -> Row:
    # The arc of a parabola of slope 2·bend·x.
    steep = 2 * _BEND * x
    along = (x * (1 + steep**2).sqrt() + torch.asinh(steep) / (2 * _BEND)) / 2
    far, edges = along.abs(), along.new_tensor(ends)
    tooth = torch.searchsorted(edges, far.contiguous(), right=True).clamp(1, len(ends) - 1)
    left, right = edges[tooth - 1], edges[tooth]
    across = ((far - left) / (right - left) * 2 - 1).clamp(-1, 1)
    return Row(along, height, across, (1 - across.abs()) * (right - left) / 2)
