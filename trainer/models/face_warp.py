"""Where in a photo each place of a picture with other landmarks reads: a head as a solid thing.

Inside the face the mesh says it, triangle by triangle, and what hides what. Around it the face's
outline and hair that goes with the head pull at the picture, and its edges hold: a thin-plate
spline. Without meshes the spline over the 68 landmarks does it alone; a turned head folds there.

Coordinates are shares of a picture's side, 0…1 from edge to edge; depth has the same scale, less is
nearer. Tensor operations only; nothing is learned, and no gradient is wanted.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fsh.schemas.faces.mesh import MESH_CHEEKS
from fsh.schemas.faces.mesh_triangles import TRIANGLES
from fsh.trainer.models.head_motion import (
    MIDDLE,
    Placed,
    head_motion,
    nearest_tilt,
    place_heads,
    placed_motion,
)
from fsh.trainer.models.mouth_warp import Mouth, bend_as_teeth
from fsh.trainer.models.openings import areas, mouth_areas, opened, shows_mouth
from fsh.trainer.models.rasterize import rasterize
from fsh.trainer.models.thin_plate import places, thin_plate_reads

#: Points of the face's outline, from the top clockwise: where they lie in a mean head
#: (:data:`fsh.schemas.faces.mesh.MEAN_HEAD`), its right half; the left one mirrors it.
_OUTLINE = {
    10: (0.000, -0.622, -0.187),
    297: (0.396, -0.581, -0.097),
    284: (0.670, -0.405, 0.170),
    389: (0.774, -0.126, 0.452),
    454: (0.783, 0.218, 0.613),
    361: (0.737, 0.571, 0.584),
    397: (0.616, 0.911, 0.398),
    379: (0.434, 1.112, 0.168),
    400: (0.252, 1.233, 0.004),
    152: (0.000, 1.288, -0.071),
}
_MIRRORED = {297: 67, 284: 54, 389: 162, 454: 234, 361: 132, 397: 172, 379: 150, 400: 176}
_OUTLINE |= {_MIRRORED[i]: (-x, y, z) for i, (x, y, z) in _OUTLINE.items() if i in _MIRRORED}
#: Rings of hair around the outline above the tip of the nose: how much wider they are than it.
_RINGS = (1.18, 1.4)
_NOSE_TIP = 0.22
#: Sine of the angle by which the outline's surface looks away from the camera: from here on a
#: point pulls less, and from a fifth more not at all, because the face hides it.
_AWAY = 0.35
#: Cosine of the slant, seen from the photo's camera, from which a triangle is trusted in full.
_SLANT = 0.3
#: How far a place may lie behind what the photo shows there, in widths of the face: from the
#: smaller on it is doubted, at the larger it is hidden.
_BEHIND, _HIDDEN = 0.03, 0.08
#: How far beyond a photo's edge its edge still stands for it, in shares of the side.
_BEYOND = 0.04
#: Smoothing of the spline: all points, the hair's, and hidden ones.
_SLACK, _HAIR_SLACK, _HIDDEN_SLACK = 1e-3, 6e-3, 1.0
#: Points that hold on each edge of the picture, unless the head comes nearer than this: then its
#: hair would be torn between the two.
_EDGE_POINTS = 5
_NEAR_EDGE = 0.12
#: Natural logarithm of how much larger a place is than in the photo that counts as 1.
_STRETCH = 3.0
#: Depth where there is nothing.
FAR = 1e3


class Warp(NamedTuple):
    """Where B pictures read in B photos, at H × H places each.

    Attributes:
        reads: float32 (B, 2, H, H), x and y in the photo.
        trust: float32 (B, 1, H, H): 1 where the photo shows what is to be seen there, 0 where that
            is out of the photo or hidden in it.
        stretch: float32 (B, 1, H, H), −1…1: how much larger a place is than in the photo, its
            logarithm over 3. A mouth that is shut in the photo opens by stretching.
        face: float32 (B, 1, H, H), 1 inside the face, else 0. All 0 without meshes.
        motion: float32 (B, 2, 4), the heads', see
            :func:`~fsh.trainer.models.head_motion.head_motion`.
    """

    reads: Tensor
    trust: Tensor
    stretch: Tensor
    face: Tensor
    motion: Tensor

    @property
    def displacement(self) -> Tensor:
        """float32 (B, 2, H, H): how far from its own place each place reads."""
        return self.reads - places(len(self.reads), self.reads.shape[-1], self.reads)


def read(pictures: Tensor, reads: Tensor, how: str = "bilinear") -> Tensor:
    """Pictures (B, C, S, S) read at places (B, 2, H, H): (B, C, H, H). Edges are repeated.

    Args:
        how: ``bilinear``, or ``bicubic``: dearer, and a half sharper.
    """
    grid = reads.movedim(1, -1) * 2 - 1
    return F.grid_sample(pictures, grid, mode=how, padding_mode="border", align_corners=False)


def enlarged(maps: Tensor, side: int) -> Tensor:
    """Maps (B, C, H, H) at another side (bilinear)."""
    if maps.shape[-1] == side:
        return maps
    # Channels first: four times as fast for the few channels that maps have.
    return F.interpolate(maps.contiguous(), (side, side), mode="bilinear", align_corners=False)


def enlarged_reads(reads: Tensor, side: int) -> Tensor:
    """Reads (B, 2, H, H) at another side. Up to the edges: displacements are what is enlarged."""
    moved = reads - places(1, reads.shape[-1], reads)
    return places(1, side, reads) + enlarged(moved, side)


def mesh_warp(target: Tensor, source: Tensor, side: int, front: Tensor | None = None) -> Warp:
    """The warp that gives photos with the meshes ``source`` the meshes ``target``.

    Args:
        target: float32 (B, 478, 3).
        source: float32 (B·K, 478, 3), of K photos for each target, one target after the other.
        side: H.
        front: the photos' :func:`front_depth` (B·K, 1, H, H), if that is known.
    """
    triangles, count = torch.from_numpy(TRIANGLES).to(target.device), len(source) // len(target)
    shown = rasterize(target, triangles, side).repeated(count)
    target = target.repeat_interleave(count, 0)
    front = front_depth(source, side) if front is None else front
    face = shown.covered[:, None]
    inside = shown.interpolate(source, triangles).movedim(3, 1)
    heads = place_heads(target), place_heads(source)
    motion = placed_motion(*heads)
    reads = torch.where(face, inside[:, :2], _around(target, source, heads, motion, side))
    known = _facing(source, triangles) * opened(target, source, triangles)
    per_triangle = torch.stack([known, _stretch(target, source, triangles)], dim=1)
    index = shown.triangles.clamp_min(0).flatten(1)[:, None].expand(-1, 2, -1)
    known, stretch = per_triangle.gather(2, index).unflatten(2, (side, side)).split(1, dim=1)
    trust = torch.where(face, known * _in_front(source, inside, front), 1.0)
    ends = zip((target, source), heads, strict=True)
    mouths = [Mouth(mesh, placed, mouth_areas(mesh, placed)) for mesh, placed in ends]
    reads, trust = bend_as_teeth(reads, trust, shows_mouth(shown), *mouths)
    return Warp(reads, trust * within(reads), stretch * face, face.to(reads), motion)


def front_depth(mesh: Tensor, side: int) -> Tensor:
    """(B, 1, H, H): depth of what meshes (B, 478, 3) show at each pixel; far away beside them."""
    triangles = torch.from_numpy(TRIANGLES).to(mesh.device)
    front = rasterize(mesh, triangles, side)
    depth = front.interpolate(mesh[..., 2:], triangles).movedim(3, 1)
    return torch.where(front.covered[:, None], depth, depth.new_tensor(FAR))


def landmark_warp(target: Tensor, source: Tensor, side: int) -> Warp:
    """The same by 68 landmarks (B, 68, 2) and (B·K, 68, 2), flat: what hides what is not known."""
    target = target.repeat_interleave(len(source) // len(target), 0)
    edge = _edge_points(target)
    ends = torch.cat([target, edge], 1), torch.cat([source, edge], 1)
    reads = thin_plate_reads(ends[0], ends[1], torch.full_like(ends[0][..., 0], _SLACK), side)
    nothing = torch.zeros_like(reads[:, :1])
    return Warp(reads, within(reads), nothing, nothing, head_motion(target, source))


def _around(
    target: Tensor, source: Tensor, heads: tuple[Placed, Placed], motion: Tensor, side: int
) -> Tensor:
    """The reads (B, 2, H, H) around the face: its outline, hair and the edges of the picture.

    Hair goes with the head (:func:`~fsh.trainer.models.head_motion.head_motion`). A point that the
    face hides, in the photo or in the picture, pulls at nothing.

    Args:
        heads: where those of target and source are. motion: from the one to the other.
    """
    outline = torch.tensor([*_OUTLINE], device=target.device)
    middle = target.new_tensor(MIDDLE)
    outward = target.new_tensor([*_OUTLINE.values()]) - middle
    upper = outward[outward[:, 1] + middle[1] < _NOSE_TIP] * target.new_tensor([1.0, 1.0, 0.0])
    hair = torch.cat([upper * wide for wide in _RINGS])
    size, turn, shift = heads[0]
    here = (size[:, None] * (turn @ middle) + shift)[:, None, :2]
    ring = here + size[:, None, None] * (hair[:, :2] @ nearest_tilt(turn[:, :2, :2]).mT)
    rings = [ring, ring @ motion[:, :, :2].mT + motion[:, None, :, 2]]
    normals = F.normalize(outward, dim=1)
    away = torch.stack([(normals @ r.mT)[..., 2] for _, r, _ in heads]).amax(0)
    ends = [
        torch.cat([mesh[:, outline, :2], ring, _edge_points(mesh)], 1)
        for mesh, ring in zip((target, source), rings, strict=True)
    ]
    slack = torch.full_like(ends[0][..., 0], _SLACK)
    slack[:, : len(outline)] += _HIDDEN_SLACK * ((away - _AWAY) / 0.2).clamp(0, 1)
    slack[:, len(outline) : len(outline) + len(hair)] = _HAIR_SLACK
    edge = _edge_points(target)
    gaps = torch.stack([torch.cdist(edge, ring).amin(2) for ring in rings]).amin(0)
    slack[:, len(outline) + len(hair) :] += _HIDDEN_SLACK * (1 - gaps / _NEAR_EDGE).clamp_min(0)
    return thin_plate_reads(ends[0], ends[1], slack, side)


def _edge_points(like: Tensor) -> Tensor:
    """(B, 16, 2): points on the edges of B pictures."""
    line = torch.linspace(0, 1, _EDGE_POINTS).tolist()
    edge = [(x, y) for x in line for y in line if {x, y} & {0.0, 1.0}]
    return torch.tensor(edge).to(like).expand(len(like), -1, -1)


def _facing(mesh: Tensor, triangles: Tensor) -> Tensor:
    """(B, T), 0…1: how much each triangle looks at the camera."""
    a, b, c = mesh[:, triangles].unbind(2)
    normal = torch.linalg.cross(b - a, c - a)
    return (-normal[..., 2] / normal.norm(dim=2).clamp_min(1e-12) / _SLANT).clamp(0, 1)


def _stretch(target: Tensor, source: Tensor, triangles: Tensor) -> Tensor:
    """(B, T), −1…1: see :class:`Warp`."""
    grown = areas(target, triangles) / areas(source, triangles)
    return (grown.log() / _STRETCH).clamp(-1, 1)


def _in_front(source: Tensor, inside: Tensor, front: Tensor) -> Tensor:
    """(B, 1, H, H), 0…1: whether nothing of the face lies before these places in the photo.

    Args:
        inside: (B, 3, H, H), places in the photo with their depth.
        front: the photos' :func:`front_depth`.
    """
    grid = inside[:, :2].movedim(1, -1) * 2 - 1
    shown = F.grid_sample(front, grid, mode="nearest", align_corners=False)
    left, right = MESH_CHEEKS
    width = (source[:, right] - source[:, left]).norm(dim=1).view(-1, 1, 1, 1)
    behind = (inside[:, 2:] - shown) / width.clamp_min(1e-6)
    return ((_HIDDEN - behind) / (_HIDDEN - _BEHIND)).clamp(0, 1)


def within(reads: Tensor, window: Tensor | None = None) -> Tensor:
    """(B, 1, H, H), 0…1: whether places (B, 2, H, H) lie in windows (B, 4) of edges, or nearly.

    Args:
        window: left, top, right and bottom edges, in shares; None: all of each photo.
    """
    low, high = reads.new_zeros(()), reads.new_ones(())
    if window is not None:
        low, high = window[:, :2, None, None], window[:, 2:, None, None]
    beyond = torch.maximum(low - reads, reads - high).amax(1, keepdim=True)
    return (1 - beyond / _BEYOND).clamp(0, 1)
