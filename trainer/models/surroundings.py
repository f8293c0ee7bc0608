"""How what is around a face may have moved from photo to picture.

The warp's spline (:mod:`fsh.trainer.models.face_warp`) fades from the head to the picture's edges.
But hair moves as the head does, and shoulders follow it without tilting. So G answers, of each
place around the face, how much it moves in each of these ways: with the spline, as the head, and as
far as the head's middle. What does not move at all is copied from the still photo.

Coordinates are shares of a picture's side.
"""

from __future__ import annotations

from torch import Tensor

from fsh.trainer.models.thin_plate import places

#: Ways to move: by the spline, as the head, as its middle.
WAYS = 3


def head_reads(motion: Tensor, side: int) -> Tensor:
    """Reads (…, 2, H, H) of pictures that move as their heads do: (…, 2, 4)."""
    at = places(1, side, motion)[0].flatten(1)
    return (motion[..., :2] @ at + motion[..., 2:3]).unflatten(-1, (side, side))


def moved_reads(reads: Tensor, motion: Tensor, ways: Tensor) -> Tensor:
    """Reads of the spline, with the other ways to move mixed in.

    Args:
        reads: (B, K, 2, H, H), the spline's.
        motion: (B, K, 2, 4), see :func:`~fsh.trainer.models.head_motion.head_motion`.
        ways: (B, K, 3, H, H), the share of each way; their sum is 1.
    """
    side = reads.shape[-1]
    at = places(1, side, reads)[:, None]
    bent, turned, carried = ways.unsqueeze(3).unbind(2)
    middle = at + motion[..., 3, None, None]
    return bent * reads + turned * head_reads(motion, side) + carried * middle
