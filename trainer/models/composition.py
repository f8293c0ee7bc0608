"""Pictures put together of photos: what G answers, and what becomes of it.

G is given photos (:mod:`fsh.trainer.models.references`). Its answer is a residual flow of each
photo, at its own size, and, at twice that, a share of each photo, of the still one and of paint,
and the paint. The picture is put together at the photos' size:

    ``picture = Σ_k share_k · photo_k(warp_k + flow_k) + share_s · still + share_p · paint``

with shares that sum to 1 at every place. Around the face ``warp_k`` is a mixture, also answered, of
the ways in which what is there may have moved (:mod:`fsh.trainer.models.surroundings`). Between the
lips, as far as no photo is open there, all of it is paint of another kind
(:mod:`fsh.trainer.models.inner_mouth`): flows would shut the mouth with the lips, of which every
photo has plenty. So skin, hair and teeth are copied in focus, and painted is what no photo shows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fsh.trainer.models.face_warp import enlarged, enlarged_reads, read
from fsh.trainer.models.references import FINE, References
from fsh.trainer.models.surroundings import WAYS, moved_reads

#: Largest residual flow, in shares of the picture's side: around the face, where the warp guesses,
#: and in the face, where the mesh knows.
_FLOW, _FLOW_IN_FACE = 0.1, 0.005
#: Shares before anything is learned, as logits: bent photos copy, the others hardly.
_COPY, _STILL, _PAINT = 1.0, -2.0, -2.0
#: The ways to move (:data:`~fsh.trainer.models.surroundings.WAYS`) before that, as logits.
_WAYS = (2.0, 0.0, 0.0, 0.0)
#: Trust enters the shares as its logarithm times this; the smallest is so much.
_TRUST_WEIGHT, _LEAST_TRUST = 2.0, 0.02
_TINY = 1e-6


class Answer(NamedTuple):
    """What G makes of references.

    Attributes:
        maps: (B, M, H, H), see :func:`answered_maps`.
        mouth: (B, 3, S, S), what is between the lips, −1…1.
    """

    maps: Tensor
    mouth: Tensor


class Composition(NamedTuple):
    """A picture and how it was put together.

    Attributes:
        picture: (B, 3, P, P), −1…1.
        shares: (B, K + 2, 2H, 2H), of each bent photo, the still one and the paint; their sum is 1.
        flow: (B, K, 2, H, H), residual flow in shares of the picture's side.
        mouth: (B, 3, S, S), the paint between the lips, in their patch.
    """

    picture: Tensor
    shares: Tensor
    flow: Tensor
    mouth: Tensor

    @property
    def painted(self) -> Tensor:
        """Mean share of paint, a scalar: 0 copies everything, 1 nothing."""
        return self.shares[:, -1].mean()

    @property
    def unevenness(self) -> Tensor:
        """Mean absolute first difference of the flow, a scalar: what keeps it smooth."""
        across, down = self.flow.diff(dim=-1).abs().mean(), self.flow.diff(dim=-2).abs().mean()
        return across + down


def answered_maps(count: int) -> int:
    """M, the number of maps that G answers with; without photos an image's three channels.

    A flow of each photo first; then, photo by photo, how much of what is around the face moves in
    which way; then, :data:`FINE` times as fine (``F.pixel_shuffle``), a share of each photo, of the
    still one and of paint, and the paint's three channels.
    """
    return (2 + WAYS) * count + (count + 5) * FINE**2 if count else 3


def first_answer(count: int) -> Tensor:
    """(M,) what G answers before it has learned anything: the bent photos, where trusted."""
    shares = torch.tensor([_COPY] * count + [_STILL, _PAINT, 0.0, 0.0, 0.0])
    flows, ways = torch.zeros(2 * count), torch.tensor(_WAYS * count)
    return torch.cat([flows, ways, shares.repeat_interleave(FINE**2)])


def compose(
    answer: Answer, references: References, window: tuple[slice, slice] | None = None
) -> Composition:
    """Put pictures together at the photos' own size.

    Args:
        answer: what G made of landmark image and maps.
        window: rows and columns of the picture that mouths do not leave
            (:meth:`~fsh.trainer.models.inner_mouth.MouthPatch.window`), if that is known.
    """
    maps = answer.maps.float()
    side, count = references.still.shape[-1], references.answered
    free, ways, fine = maps.split([2 * count, WAYS * count, maps.shape[1] - (2 + WAYS) * count], 1)
    face = F.avg_pool2d(references.face, FINE)[:, None]
    most = _FLOW + (_FLOW_IN_FACE - _FLOW) * face
    flow = most * torch.tanh(free.unflatten(1, (count, 2)))
    fine = F.pixel_shuffle(fine.contiguous(), FINE)
    known = _TRUST_WEIGHT * references.trust.clamp_min(_LEAST_TRUST).log()
    shares = (fine[:, :-3] + known).softmax(1)
    motion = torch.cat([flow, ways.unflatten(1, (count, WAYS)).softmax(2)], 2)
    of_photos = shares[:, :count]
    photos = references.reads.shape[1]
    if photos < count:
        of_photos, motion = _by_photo(of_photos, motion, photos)
    motion = enlarged(motion.flatten(1, 2), fine.shape[-1]).unflatten(1, (photos, 2 + WAYS))
    free, ways = motion.split([2, WAYS], 2)
    reads = enlarged_reads((_moved(references, ways) + free).flatten(0, 1), side)
    copies = read(references.pictures.flatten(0, 1), reads).unflatten(0, (-1, photos))
    weights = enlarged(torch.cat([of_photos, shares[:, count:]], 1), side)[:, :, None]
    *copied, still, painted = weights.unbind(1)
    picture = still * references.still
    picture = torch.addcmul(picture, painted, enlarged(torch.tanh(fine[:, -3:]), side))
    for weight, copy in zip(copied, copies.unbind(1), strict=True):
        picture = torch.addcmul(picture, weight, copy)
    mouth = answer.mouth.float()
    painted, inside = references.mouth.in_picture(mouth, side, window)
    hidden = 1 - enlarged(references.trust[:, :photos].amax(1, keepdim=True), side)
    if window is None:
        picture = torch.lerp(picture, painted, inside * hidden)
    else:
        part = (..., *window)
        picture[part] = torch.lerp(picture[part], painted, inside * hidden[part])
    return Composition(picture, shares, flow, mouth)


def _by_photo(shares: Tensor, motion: Tensor, photos: int) -> tuple[Tensor, Tensor]:
    """Answers for K photos as answers for N, of which the first ones were given again.

    A photo's shares add up, and how it moves is their mean: it is read once, and so it is as sharp
    as if it had been given once.

    Args:
        shares: (B, K, 2H, 2H). motion: (B, K, C, H, H). photos: N.

    Returns:
        (B, N, 2H, 2H) and (B, N, C, H, H).
    """
    weights = F.avg_pool2d(shares, FINE)[:, :, None]
    own = [slice(n, None, photos) for n in range(photos)]
    total = torch.stack([weights[:, one].sum(1) for one in own], 1)
    mean = torch.stack([(weights[:, one] * motion[:, one]).sum(1) for one in own], 1)
    added = torch.stack([shares[:, one].sum(1) for one in own], 1)
    return added, mean / total.clamp_min(_TINY)


def _moved(references: References, ways: Tensor) -> Tensor:
    """Where the photos are read (B, N, 2, 2H, 2H), before the flow: in the face by its mesh alone,
    around it in the ways (B, N, W, 2H, 2H) answered."""
    reads, face = references.reads, references.face[:, None]
    moved = moved_reads(reads, references.motion, ways, references.stays)
    return torch.lerp(moved, reads, face)
