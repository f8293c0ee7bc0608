"""Where a mouth reads in a photo that has it open by another amount: lips bend, teeth do not.

The mesh has nothing between the inner lips but triangles from lip to lip, so that teeth which a
photo shows would grow as its mouth opens. But the upper row goes with the skull and the lower one
with the chin (:mod:`fsh.trainer.models.teeth`), and only what lies between their edges grows; of
that a photo in which they bite shows nothing.

Coordinates are shares of a picture's side, as in :mod:`fsh.trainer.models.face_warp`; those in a
head are in the units of :mod:`fsh.trainer.models.teeth`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fsh.schemas.faces.mesh import LOWER_LIP, MESH_CHIN, MESH_NOSE_FOOT, UPPER_LIP
from fsh.trainer.models.head_motion import Placed
from fsh.trainer.models.teeth import (
    LOWER_BEND,
    LOWER_EDGE,
    UPPER_BEND,
    UPPER_EDGE,
    in_head,
    on_arches,
    seen_on_arches,
)

#: Length over which an edge is soft.
_SOFT = 0.004
#: A mouth whose area between the lips has grown by the smaller factor is bent as lips are, one that
#: has by the larger as teeth are; one that shuts, as lips.
_SAME, _OTHER = 1.2, 1.7
#: How far rows have to be apart in the photo for what is behind to be seen: hardly, and well.
_BITES, _APART = 0.02, 0.06
#: Nothing is read nearer to the photo's lips than this; and what would lie behind them by so much
#: is doubted, and not trusted at all.
_BESIDE_LIPS = 0.01
_BEHIND_LIPS, _HIDDEN = 0.03, 0.09


class Mouth(NamedTuple):
    """N mouths, of targets or of photos.

    Attributes:
        mesh: (N, 478, 3). placed: where the heads are.
        area: (N,), of what is between the lips, over the square of the head's size.
    """

    mesh: Tensor
    placed: Placed
    area: Tensor

    def in_head(self, point: int) -> Tensor:
        """(N, 2, 1, 1): where a point of the mesh lies in the head, to its left and down."""
        return in_head(self.placed, self.mesh[:, point])[:, :2, None, None]

    def lips(self, x: Tensor) -> list[Tensor]:
        """The heights (N, 1, H, W) of both inner lips at ``x`` in the head (N, 1, H, W)."""
        flat = self.mesh[:, [*UPPER_LIP, *LOWER_LIP], :2].mT[:, :, None]
        both = on_arches(self.placed, flat)[:, :, 0].mT.split(len(UPPER_LIP), 1)
        return [curve(lip, x.flatten(1)).view_as(x) for lip in both]


def bend_as_teeth(
    reads: Tensor, trust: Tensor, between_lips: Tensor, target: Mouth, photo: Mouth
) -> tuple[Tensor, Tensor]:
    """Reads (N, 2, H, H) and trust (N, 1, H, H) of a warp; between the lips those of teeth.

    Args:
        between_lips: bool (N, H, H), in the target.
    """
    grown = target.area / photo.area
    ends = torch.tensor([_SAME, _OTHER]).log().tolist()
    how = ((grown.log() - ends[0]) / (ends[1] - ends[0])).clamp(0, 1)
    shown = (between_lips & (how > 0).view(-1, 1, 1)).any(0)
    rows, columns = shown.any(1).nonzero()[:, 0], shown.any(0).nonzero()[:, 0]
    if not len(rows):
        return reads, trust
    part = (
        ...,
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
    line = (torch.arange(reads.shape[-1]).to(reads) + 0.5) / reads.shape[-1]
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"))[part]
    teeth, sure = _as_teeth(places.expand(len(reads), -1, -1, -1), target, photo)
    inside = between_lips[:, None][part].to(reads)
    how = how.view(-1, 1, 1, 1) * inside
    # Places at the lips' edge go with the lips, so that nothing jumps there.
    soft = how * (2 * F.avg_pool2d(inside, 3, 1, 1) - 1).clamp_min(0)
    reads, trust = reads.clone(), trust.clone()
    reads[part] = torch.lerp(reads[part], teeth, soft)
    trust[part] = torch.lerp(trust[part], sure, how)
    return reads, trust


def _as_teeth(places: Tensor, target: Mouth, photo: Mouth) -> tuple[Tensor, Tensor]:
    """Reads (N, 2, H, W) of places, and trust (N, 1, H, W): the upper row, what is between the rows
    and the lower row, each where it is in the photo."""
    at = on_arches(target.placed, places)
    y = at[:, 1:]
    chin, own_chin = target.in_head(MESH_CHIN), photo.in_head(MESH_CHIN)
    skull = photo.in_head(MESH_NOSE_FOOT) - target.in_head(MESH_NOSE_FOOT)
    upper, lower = _edges(at[:, :1], chin)
    with_skull, with_chin = at + skull, at + (own_chin - chin)
    # Above the upper edge 0, below the lower one 1; the upper row is before the lower one.
    along = ((y - upper) / (lower - upper).clamp_min(_SOFT)).clamp(0, 1)
    x = torch.lerp(with_skull[:, :1], with_chin[:, :1], along)
    own_upper, own_lower = _edges(x, own_chin)
    own_upper = own_upper + skull[:, 1:]
    behind = torch.lerp(own_upper, torch.maximum(own_lower, own_upper), along)
    is_upper = torch.sigmoid((upper - y) / _SOFT)
    is_lower = torch.sigmoid((y - lower) / _SOFT) * (1 - is_upper)
    own = torch.where(is_upper > 0.5, with_skull[:, 1:], behind)
    own = torch.where(is_lower > 0.5, with_chin[:, 1:], own)
    apart = ((own_lower - own_upper - _BITES) / (_APART - _BITES)).clamp(0, 1)
    bitten = torch.sigmoid((own - own_upper) / _SOFT)
    sure = is_upper + is_lower * bitten + (1 - is_upper - is_lower) * apart
    high, low = photo.lips(x)
    inside = torch.maximum(torch.minimum(own, low - _BESIDE_LIPS), high + _BESIDE_LIPS)
    hidden = ((own - inside).abs() - _BEHIND_LIPS) / (_HIDDEN - _BEHIND_LIPS)
    # Places are found on the arches nearly: what is missing goes with the head.
    missing = places - seen_on_arches(target.placed, at)
    missing = missing * (photo.placed[0] / target.placed[0]).view(-1, 1, 1, 1)
    reads = seen_on_arches(photo.placed, torch.cat([x, inside], 1)) + missing
    return reads, sure * (1 - hidden.clamp(0, 1))


def _edges(x: Tensor, chin: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 1, H, W) twice: heights of the upper and the lower row's edge at ``x`` in heads whose
    chins are there (N, 2, 1, 1)."""
    upper = UPPER_EDGE + UPPER_BEND * x**2
    return upper, chin[:, 1:] - LOWER_EDGE - LOWER_BEND * (x - chin[:, :1]) ** 2


def curve(points: Tensor, at: Tensor) -> Tensor:
    """(N, P): the heights of polylines through points (N, L, 2) at each x of ``at`` (N, P)."""
    order = points[..., 0].argsort(1)
    x, y = points[..., 0].gather(1, order), points[..., 1].gather(1, order)
    right = torch.searchsorted(x.contiguous(), at.contiguous()).clamp(1, points.shape[1] - 1)
    left = right - 1
    start, end = x.gather(1, left), x.gather(1, right)
    share = ((at - start) / (end - start).clamp_min(1e-6)).clamp(0, 1)
    return y.gather(1, left) + share * (y.gather(1, right) - y.gather(1, left))
