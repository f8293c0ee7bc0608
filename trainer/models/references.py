"""Photos of a person as the generator sees them, and the picture put together of what it answers.

Beside the landmark image, G is given K photos bent to the target's landmarks
(:mod:`fsh.trainer.models.face_warp`), where that is to be trusted, and one photo as it is, whose
background stays. Its answer, at its own size, is for each photo a residual flow and a share, a
paint, and the shares of paint and still photo; the picture is put together at the photos' size:

    ``picture = Σ_k share_k · photo_k(warp_k + flow_k) + share_s · still + share_p · paint``

with shares that sum to 1 at every place. So skin, hair and teeth are copied in focus, and painted
is what no photo shows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fsh.schemas.mesh import MESH_POINTS
from fsh.trainer.models.face_warp import (
    Warp,
    enlarged,
    enlarged_reads,
    landmark_warp,
    mesh_warp,
    places,
    read,
)

#: Maps that G is given of each bent photo: colour, trust, stretch, displacement, face; and of the
#: still photo: colour, and what is real of it.
_GIVEN, _GIVEN_STILL = 8, 4
#: G's answer: a flow and a share of each photo; paint, and the shares of paint and still photo.
_ANSWERED, _ANSWERED_ONCE = 3, 5
#: The photos are bent on a grid so many times as fine as the network's: at 64 pixels an eye is
#: three pixels high.
_FINE = 2
#: Largest residual flow, in shares of the picture's side.
_FLOW = 0.1
#: Displacements are given in this unit's parts of the picture's side.
_DISPLACEMENT = 0.25
#: Shares before anything is learned, as logits: bent photos copy, the others hardly.
_COPY, _STILL, _PAINT = 1.0, -2.0, -2.0
#: Trust enters the shares as its logarithm times this; the smallest is so much.
_TRUST_WEIGHT, _LEAST_TRUST = 2.0, 0.02


class References(NamedTuple):
    """What B targets are given of K photos each, prepared for a network of H × H.

    Attributes:
        pictures: float32 (B, K, 3, P, P), the photos, −1…1.
        still: float32 (B, 3, P, P), the photo that is not bent.
        maps: float32 (B, C, H, H), what G sees beside the landmark image.
        reads: float32 (B, K, 2, 2H, 2H), where the bent photos are read, shares of their side.
        trust: float32 (B, K + 1, H, H), 0…1, of each bent photo, see
            :class:`~fsh.trainer.models.face_warp.Warp`, and of the still one: it has nothing to
            show inside a face that moves.
    """

    pictures: Tensor
    still: Tensor
    maps: Tensor
    reads: Tensor
    trust: Tensor


class Composition(NamedTuple):
    """A picture and how it was put together.

    Attributes:
        picture: (B, 3, P, P), −1…1.
        shares: (B, K + 2, H, H), of each bent photo, the still one and the paint; their sum is 1.
        flow: (B, K, 2, H, H), residual flow in shares of the picture's side.
    """

    picture: Tensor
    shares: Tensor
    flow: Tensor

    @property
    def painted(self) -> Tensor:
        """Mean share of paint, a scalar: 0 copies everything, 1 nothing."""
        return self.shares[:, -1].mean()

    @property
    def unevenness(self) -> Tensor:
        """Mean absolute first difference of the flow, a scalar: what keeps it smooth."""
        across, down = self.flow.diff(dim=-1).abs().mean(), self.flow.diff(dim=-2).abs().mean()
        return across + down


def given_maps(count: int) -> int:
    """C, the number of maps that G sees of ``count`` photos; 0 for none."""
    return count * _GIVEN + _GIVEN_STILL if count else 0


def answered_maps(count: int) -> int:
    """The number of maps that G answers with; without photos an image's three channels."""
    return count * _ANSWERED + _ANSWERED_ONCE if count else 3


def first_answer(count: int) -> Tensor:
    """(M,) what G answers before it has learned anything: the bent photos, where trusted."""
    bias = torch.zeros(answered_maps(count))
    bias[2 : _ANSWERED * count : _ANSWERED] = _COPY
    bias[-2], bias[-1] = _STILL, _PAINT
    return bias


def nearest_photos(target: Tensor, points: Tensor, count: int) -> Tensor:
    """int64 (B, count): the photos whose points are nearest, the nearest first.

    Places count as they are: a photo whose head is where the target's is moves the least.

    Args:
        target: (B, V, D). points: (B, T, V, D) of T photos; if they are fewer than ``count`` they
            are repeated.
    """
    gaps = (points - target[:, None])[..., :2].square().mean((2, 3))
    order = gaps.argsort(dim=1, stable=True)[:, :count]
    return order[:, torch.arange(count, device=order.device) % order.shape[1]]


@torch.no_grad()
def prepare(
    target: Tensor,
    points: Tensor,
    pictures: Tensor,
    still: Tensor,
    side: int,
    *,
    real: Tensor | None = None,
    still_real: Tensor | None = None,
    face_only: Tensor | None = None,
) -> References:
    """Bend K photos to each of B targets.

    Args:
        target: float32 (B, 478, 3), meshes, or (B, 68, 2), landmarks, in shares of the crop.
        points: float32 (B, K, 478, 3) or (B, K, 68, 2), the photos', as well.
        pictures: float32 (B, K, 3, P, P). still: float32 (B, 3, P, P).
        side: H, the network's.
        real: float32 (B, K, 4), left, top, right and bottom edges in shares of the crop of what
            each photo shows; outside it was filled in. None: all.
        still_real: float32 (B, 4), the still photo's.
        face_only: bool (B, K), photos that are trusted inside the face alone: they show another
            scene than the still one.
    """
    batch, count = points.shape[:2]
    fine = _FINE * side
    warp = _warp(target.repeat_interleave(count, 0), points.flatten(0, 1), fine)
    trust = warp.trust
    if real is not None:
        trust = trust * _inside(warp.reads, real.flatten(0, 1))
    if face_only is not None:
        trust = torch.where(face_only.flatten()[:, None, None, None], trust * warp.face, trust)
    large = pictures.flatten(0, 1)
    shown = read(at_side(large, fine) if large.shape[-1] > fine else large, warp.reads)
    moved = warp.displacement / _DISPLACEMENT
    bent = at_side(torch.cat([shown, trust, warp.stretch, moved, warp.face], 1), side)
    kept = torch.ones_like(still[:, :1, :side, :side])
    if still_real is not None:
        kept = _inside(places(batch, side, still), still_real)
    seen, face = (
        one.unflatten(0, (batch, count)) for one in (at_side(trust, side)[:, 0], bent[:, -1])
    )
    face = face.amax(1, keepdim=True)
    maps = [bent.unflatten(0, (batch, count)).flatten(1, 2), at_side(still, side), kept]
    return References(
        pictures=pictures,
        still=still,
        maps=torch.cat(maps, 1),
        reads=warp.reads.unflatten(0, (batch, count)),
        trust=torch.cat([seen, 1 - face], 1),
    )


def compose(answer: Tensor, references: References, how: str = "bilinear") -> Composition:
    """Put pictures together at the photos' own size.

    Args:
        answer: (B, M, H, H), what G made of landmark image and maps.
        how: photos are read, ``bilinear`` or ``bicubic``.
    """
    answer = answer.float()
    pictures, count, side = references.pictures, *references.pictures.shape[1:4:2]
    per_photo = answer[:, : _ANSWERED * count].unflatten(1, (count, _ANSWERED))
    flow = _FLOW * torch.tanh(per_photo[:, :, :2])
    known = _TRUST_WEIGHT * references.trust.clamp_min(_LEAST_TRUST).log()
    copied = torch.cat([per_photo[:, :, 2], answer[:, -2:-1]], 1) + known
    shares = torch.cat([copied, answer[:, -1:]], 1).softmax(1)
    reads = enlarged_reads(references.reads.flatten(0, 1), side)
    reads = reads + enlarged(flow.flatten(0, 1), side)
    copies = read(pictures.flatten(0, 1), reads, how).unflatten(0, (-1, count))
    weights = enlarged(shares, side)[:, :, None]
    paint = enlarged(torch.tanh(answer[:, -_ANSWERED_ONCE:-2]), side)
    picture = (weights[:, :count] * copies).sum(1)
    picture = picture + weights[:, count] * references.still + weights[:, count + 1] * paint
    return Composition(picture, shares, flow)


def _warp(target: Tensor, source: Tensor, side: int) -> Warp:
    bend = mesh_warp if target.shape[1] == MESH_POINTS else landmark_warp
    return bend(target, source, side)


def at_side(pictures: Tensor, side: int) -> Tensor:
    """Pictures (B, 3, P, P) averaged down to a network's side."""
    if pictures.shape[-1] == side:
        return pictures
    return F.interpolate(pictures, (side, side), mode="area")


def _inside(reads: Tensor, window: Tensor) -> Tensor:
    """(B, 1, H, H): 1 where places (B, 2, H, H) lie in windows (B, 4) of edges, else 0."""
    low, high = window[:, :2, None, None], window[:, 2:, None, None]
    return ((reads >= low) & (reads <= high)).all(1, keepdim=True).to(reads)
