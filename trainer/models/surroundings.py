"""How what is around a face may have moved from photo to picture.

The warp's spline (:mod:`fsh.trainer.models.face_warp`) fades from the head to the picture's edges.
But hair moves as the head does and a wall not at all, and shoulders follow a part of the way. So G
answers, of each place around the face, how much it moves in each of these ways: with the spline, as
the head, as far as the head's middle, and not.

Coordinates are shares of a picture's side.
"""

from __future__ import annotations

from torch import Tensor

from fsh.trainer.models.thin_plate import places

#: Ways to move: by the spline, as the head, as its middle, not at all.
WAYS = 4


def head_reads(motion: Tensor, side: int) -> Tensor:
    """Reads (…, 2, H, H) of pictures that move as their heads do: (…, 2, 4)."""
    at = places(1, side, motion)[0].flatten(1)
    return (motion[..., :2] @ at + motion[..., 2:3]).unflatten(-1, (side, side))


def moved_reads(reads: Tensor, motion: Tensor, ways: Tensor, may_stay: Tensor) -> Tensor:
    """Reads of the spline, with the other ways to move mixed in.

    Args:
        reads: (B, K, 2, H, H), the spline's.
        motion: (B, K, 2, 4), see :func:`~fsh.trainer.models.head_motion.head_motion`.
        ways: (B, K, 4, H, H), the share of each way; their sum is 1.
        may_stay: (B, K, 1, H, H), 0…1: where nothing stays, because the photo has its head there,
            it moves with the spline instead.
    """
    side = reads.shape[-1]
    at = places(1, side, reads)[:, None]
    bent, turned, carried, stays = ways.unsqueeze(3).unbind(2)
    bent, stays = bent + stays * (1 - may_stay), stays * may_stay
    moved = (carried + stays) * at + carried * motion[..., 3, None, None]
    return bent * reads + turned * head_reads(motion, side) + moved
