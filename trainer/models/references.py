"""Photos of a person as the generator sees them.

Beside the landmark image, G is given K photos bent to the target's landmarks
(:mod:`fsh.trainer.models.face_warp`), where that is to be trusted, and one photo as it is, whose
background stays. What is made of them: :mod:`fsh.trainer.models.composition`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fsh.schemas.faces.mesh import MESH_POINTS
from fsh.trainer.models.face_warp import (
    FAR,
    front_depth,
    landmark_warp,
    mesh_warp,
    read,
    within,
)
from fsh.trainer.models.inner_mouth import MouthPatch, mouth_patch
from fsh.trainer.models.surroundings import head_reads
from fsh.trainer.models.thin_plate import places

#: Maps that G is given of each bent photo: colour, trust, stretch, displacement, face, and its
#: colour if all of it had moved as the head; of the still photo: colour, and what is real of it.
_GIVEN, _GIVEN_STILL = 11, 4
#: The photos are bent, and shares and paint answered, on a grid so many times as fine as the
#: network's: at 64 pixels an eye is three pixels high.
FINE = 2
#: Pixels of that grid over which a face's edge is soft.
_SOFT = 5
#: Mouths are painted in patches whose side is this part of the picture's.
_MOUTH = 4
#: Displacements are given in this unit's parts of the picture's side.
_DISPLACEMENT = 0.25
#: Around a still photo's face, in shares of the side: its edge, and its hair, kept by so much.
_FACE_EDGE, _HAIR, _HAIR_KEPT = 0.025, 0.15, 0.1
#: How far a head has to have moved for that, in shares of the side: a little, and wholly.
_STAYED, _MOVED = 0.03, 0.08


class Photos(NamedTuple):
    """Photos as they are bent: all that does not depend on what they are bent to.

    Attributes:
        pictures: float32 (…, 3, P, P), −1…1.
        dense: float32 (…, 3, R, R), the same as it is read when bent: R is P in training. For
            drawing it is twice that, by bicubic interpolation; read linearly this looks like
            reading the pictures bicubically, in a quarter of the time.
        fine: float32 (…, 3, F, F), the same at the side of the grid on which they are bent.
        points: float32 (…, 478, 3), meshes, or (…, 68, 2), landmarks, in shares of the crop.
        front: float32 (…, 1, F, F), see :func:`~fsh.trainer.models.face_warp.front_depth`; of
            landmarks it is empty, (…, 1, 0, 0).
        beside: float32 (…, 1, F, F), 0…1, how far each place is beside face and hair; of landmarks
            empty as well.
        real: float32 (…, 4), left, top, right and bottom edges in shares of the crop of what each
            shows; outside it was filled in.
    """

    pictures: Tensor
    dense: Tensor
    fine: Tensor
    points: Tensor
    front: Tensor
    beside: Tensor
    real: Tensor

    def take(self, rows: Any) -> Photos:
        """Some of them, chosen as of a tensor."""
        return Photos(*(part[rows] for part in self))

    def repeated(self, count: int) -> Photos:
        """All of them so many times, without copying: (count, …)."""
        return Photos(*(part.expand(count, *part.shape) for part in self))

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        pictures: Tensor,
        points: Tensor,
        side: int,
        real: Tensor | None = None,
        *,
        dense: bool = False,
    ) -> Photos:
        """Photos (N, 3, P, P) with points (N, V, D), for a network of ``side`` pixels.

        Args:
            real: (N, 4); None: all of each.
            dense: they are read for drawing.
        """
        fine = FINE * side
        small = at_side(pictures, fine) if pictures.shape[-1] > fine else pictures
        front = pictures.new_zeros(len(pictures), 1, 0, 0)
        if points.shape[-2] == MESH_POINTS:
            front = front_depth(points, fine)
        if real is None:
            real = points.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(len(points), 4)
        read_from = _dense(pictures) if dense else pictures
        return cls(pictures, read_from, small, points, front, _beside_head(front), real)


class References(NamedTuple):
    """What B targets are given of N photos each, prepared for a network of H × H that takes K: if
    those are more, it is given the first ones again, and answers for each.

    Attributes:
        pictures: float32 (B, N, 3, R, R), the photos, −1…1, as they are read.
        still: float32 (B, 3, P, P), the photo that is not bent.
        maps: float32 (B, C, H, H), what G sees beside the landmark image.
        reads: float32 (B, N, 2, 2H, 2H), where the bent photos are read, shares of their side.
        trust: float32 (B, K + 2, 2H, 2H), 0…1, of each bent photo, see
            :class:`~fsh.trainer.models.face_warp.Warp`; of the still one: it has nothing to show
            inside a face that moves; and of paint: beyond the still photo's real part, where that
            is filled in, nobody has learned to paint.
        motion: float32 (B, N, 2, 4), see :func:`~fsh.trainer.models.head_motion.head_motion`.
        stays: float32 (B, N, 1, 2H, 2H), 0…1, of each bent photo: where it shows what stays where
            it is, because its head is not there, or has not moved.
        face: float32 (B, 1, 2H, 2H), 0…1: inside the target's face; soft at its edge.
        mouth_maps, mouth_inside, mouth_frame: the parts of the targets'
            :class:`~fsh.trainer.models.inner_mouth.MouthPatch`.
    """

    pictures: Tensor
    still: Tensor
    maps: Tensor
    reads: Tensor
    trust: Tensor
    motion: Tensor
    stays: Tensor
    face: Tensor
    mouth_maps: Tensor
    mouth_inside: Tensor
    mouth_frame: Tensor

    @property
    def answered(self) -> int:
        """K, for how many photos the network answers."""
        return self.trust.shape[1] - 2

    @property
    def mouth(self) -> MouthPatch:
        return MouthPatch(self.mouth_maps, self.mouth_inside, self.mouth_frame)

    def trimmed(self) -> References:
        """The same with trimmed mouths (:meth:`MouthPatch.trimmed`), for drawing."""
        maps, inside, frame = self.mouth.trimmed()
        return self._replace(mouth_maps=maps, mouth_inside=inside, mouth_frame=frame)


def given_maps(count: int) -> int:
    """C, the number of maps that G sees of ``count`` photos; 0 for none."""
    return count * _GIVEN + _GIVEN_STILL if count else 0


def mouth_side(picture: int) -> int:
    """Side of a mouth's patch in pictures of ``picture`` pixels."""
    return picture // _MOUTH


def nearest_photos(target: Tensor, points: Tensor, count: int) -> Tensor:
    """int64 (B, count): the photos most alike, the most alike first (:func:`photo_distances`).

    Args:
        target: (B, V, D). points: (B, T, V, D) of T photos; if they are fewer than ``count`` they
            are repeated.
    """
    order = photo_distances(target, points).argsort(dim=1, stable=True)[:, :count]
    return order[:, torch.arange(count, device=order.device) % order.shape[1]]


def photo_distances(target: Tensor, points: Tensor) -> Tensor:
    """(B, T): mean squared distance of points wherever in the picture the faces are.

    So what counts is pose, mouth and eyes. A photo whose head is where the target's is would move
    less, but its lips and lids would have to be bent.

    Args:
        target: (B, V, D). points: (B, T, V, D), or (T, V, D) for all targets alike.
    """
    faces, photos = target[:, None, :, :2], points[..., :2]
    faces = faces - faces.mean(-2, keepdim=True)
    return (faces - (photos - photos.mean(-2, keepdim=True))).square().mean((-2, -1))


@torch.no_grad()
def prepare(
    target: Tensor,
    photos: Photos,
    still: Photos,
    side: int,
    kept: int,
    face_only: Tensor | None = None,
) -> References:
    """Bend photos to each of B targets.

    Args:
        target: float32 (B, 478, 3), meshes, or (B, 68, 2), landmarks, in shares of the crop.
        photos: (B, N, …), different ones; no more than K. still: (B, …), those that are not bent.
        side: H, the network's.
        kept: K, how many the network takes.
        face_only: bool (B, N), photos that are trusted inside the face alone: they show another
            scene than the still one.
    """
    batch, count = photos.points.shape[:2]
    fine, points = FINE * side, photos.points.flatten(0, 1)
    if target.shape[1] == MESH_POINTS:
        warp = mesh_warp(target, points, fine, photos.front.flatten(0, 1))
    else:
        warp = landmark_warp(target, points, fine)
    trust = warp.trust * within(warp.reads, photos.real.flatten(0, 1))
    if face_only is not None:
        trust = torch.where(face_only.flatten()[:, None, None, None], trust * warp.face, trust)
    small = photos.fine.flatten(0, 1)
    shown = read(small, warp.reads)
    moved = warp.displacement / _DISPLACEMENT
    bent = at_side(torch.cat([shown, trust, warp.stretch, moved, warp.face], 1), side)
    # Read between four of the finer pixels, which is their mean unless the head has grown.
    bent = torch.cat([bent, read(small, head_reads(warp.motion, side))], 1)
    real = within(places(batch, fine, still.real), still.real)
    stays = _stays(target, still.take((slice(None), None)))[:, 0]
    known = trust.unflatten(0, (batch, count))
    kept_still = 1 - real * (1 - stays)
    face = warp.face.unflatten(0, (batch, count)).amax(1)
    patch = mouth_side(photos.pictures.shape[-1])
    mouth = mouth_patch(target, shown.unflatten(0, (batch, count)), known, patch)
    given = _repeated(bent.unflatten(0, (batch, count)), kept).flatten(1, 2)
    return References(
        pictures=photos.dense,
        still=still.pictures,
        maps=torch.cat([given, at_side(still.fine, side), at_side(real * stays, side)], 1),
        reads=warp.reads.unflatten(0, (batch, count)),
        trust=torch.cat([_repeated(known, kept)[:, :, 0], (1 - face) * kept_still, real], 1),
        motion=warp.motion.unflatten(0, (batch, count)),
        stays=_stays(target, photos),
        face=F.avg_pool2d(face, _SOFT, 1, _SOFT // 2, count_include_pad=False),
        mouth_maps=mouth.maps,
        mouth_inside=mouth.inside,
        mouth_frame=mouth.frame,
    )


def _repeated(parts: Tensor, count: int) -> Tensor:
    """Of N photos (B, N, …) as many as ``count``, the first ones again if N is less."""
    have = parts.shape[1]
    if have == 1:
        return parts.expand(-1, count, *parts.shape[2:])
    return parts if have == count else parts[:, torch.arange(count, device=parts.device) % have]


def _dense(pictures: Tensor) -> Tensor:
    """Pictures (N, 3, P, P) twice as large, and so much sharper (N, 3, 2P, 2P) as they lose again
    when they are read linearly between their pixels."""
    large = F.interpolate(pictures, scale_factor=2, mode="bicubic", align_corners=False)
    line = large.new_tensor([-1.0, 12.0, -1.0]) / 10
    kernel = torch.outer(line, line).expand(large.shape[1], 1, 3, 3)
    padded = F.pad(large, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel, groups=large.shape[1]).clamp(-1, 1)


def _beside_head(front: Tensor) -> Tensor:
    """(N, 1, F, F): 1 beside heads of known depth, little in their hair, 0 in the face."""
    if not front.numel():
        return front
    face = (front < FAR).to(front)
    near, hair = (_grown(face, round(share * front.shape[-1])) for share in (_FACE_EDGE, _HAIR))
    return (1 - near) * (1 - hair * (1 - _HAIR_KEPT))


def _grown(mask: Tensor, reach: int) -> Tensor:
    """Masks (N, 1, F, F) larger by so many pixels: rows first, then columns, which is the same."""
    size = 2 * reach + 1
    across = F.max_pool2d(mask, (1, size), 1, (0, reach))
    return F.max_pool2d(across, (size, 1), 1, (reach, 0))


def _stays(target: Tensor, photos: Photos) -> Tensor:
    """(B, N, 1, F, F): how far photos (B, N, …) show what stays where it is: not their face, hardly
    the hair around it, if the head has moved away. Else both would stay behind.
    """
    batch, count = photos.points.shape[:2]
    if not photos.beside.numel():
        side = photos.fine.shape[-1]
        return target.new_ones(()).expand(batch, count, 1, side, side)
    moved = (target[:, None] - photos.points)[..., :2].norm(dim=3).median(2).values
    hidden = ((moved - _STAYED) / (_MOVED - _STAYED)).clamp(0, 1).view(batch, count, 1, 1, 1)
    return 1 - hidden * (1 - photos.beside)


def at_side(pictures: Tensor, side: int) -> Tensor:
    """Pictures (B, 3, P, P) averaged down to a network's side."""
    if pictures.shape[-1] == side:
        return pictures
    return F.interpolate(pictures, (side, side), mode="area")
