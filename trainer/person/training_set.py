"""What a person is learned from: photos, copies that act or are moved, and what is held out.

One photo shows one expression and one place in the picture. Copies bent to other expressions
(:mod:`fsh.trainer.person.expression_copies`) and, of few photos, as many that are moved too
(:mod:`fsh.trainer.data.augmentation`) show that the landmarks decide.
"""

from __future__ import annotations

import numpy as np
import torch

from fsh.schemas.clip import FaceClip
from fsh.trainer.data.augmentation import moved_copies
from fsh.trainer.person.expression_copies import acted_copies
from fsh.trainer.person.fine_tuning import FEW, Photos, prepare

#: Copies that act, of all photos together, but of each photo one at least and so many at most.
ACTED, ACTED_EACH = 16, 12
#: Moved copies of each of few photos that are held out.
MOVED_HELD = 3


def acted_for(photos: int) -> int:
    """Copies of each photo that act, of so many photos."""
    return max(1, min(ACTED_EACH, ACTED // photos))


def lessons(photos: Photos, clip: FaceClip, size: int, device: str) -> Photos:
    """The photos, prepared, and what is trained on beside them.

    Args:
        clip: the same photos.
    """
    copies = acted_for(len(clip))
    clips = [acted_copies(clip, copies, seed=3)]
    if len(clip) < FEW:
        clips.append(moved_copies(acted_copies(clip, copies, seed=4), 1, seed=1))
    parts = [photos, *(prepare(more, size, device)[0] for more in clips)]
    return Photos(
        torch.cat([part.images for part in parts]),
        torch.cat([part.landmark_images for part in parts]),
    )


def hold_out(
    everything: Photos, clip: FaceClip, size: int, device: str, *, judged: bool
) -> tuple[Photos, Photos | None, Photos]:
    """What is shown in the trial, the photos held out from it, and what is shown in the end.

    Args:
        everything: the photos of ``clip``, from :func:`fsh.trainer.person.fine_tuning.prepare`.
        judged: somebody recognises the person: no photo need be held out.
    """
    shown = lessons(everything, clip, size, device)
    if judged:
        return shown, None, shown
    if len(clip) < FEW:
        held, _ = prepare(moved_copies(clip, MOVED_HELD, seed=2), size, device)
        return shown, held, shown
    count = max(1, len(clip) // 4)
    spared = np.linspace(0, len(clip) - 1, count + 2).round().astype(int)[1:-1].tolist()
    used = [i for i in range(len(clip)) if i not in spared]
    return lessons(everything[used], clip.take(used), size, device), everything[spared], shown
