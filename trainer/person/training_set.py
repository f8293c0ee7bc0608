"""What a person is learned from: photos, copies of them, and photos held out to measure by.

One photo shows one expression and one place in the picture. Copies warped to other expressions and,
of few photos, as many again that are moved too (:mod:`fsh.trainer.person.photo_augmentation`) show
that the landmarks decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fsh.schemas.faces.clip import FaceClip
from fsh.trainer.config import NetworkConfig
from fsh.trainer.person.photo_augmentation import expression_copies, moved_copies
from fsh.trainer.person.photo_tensors import FEW_PHOTOS, PhotoTensors, photo_tensors

#: Copies with other expressions: of all photos together, but of each photo one at least and so many
#: at most.
EXPRESSION_COPIES, EXPRESSION_COPIES_EACH = 16, 12
#: Moved copies of each of few photos, to measure the loss on.
HELD_OUT_COPIES = 3


@dataclass(frozen=True)
class PhotoSplit:
    """What fine-tuning is tried on, what is held out from the trial, and what is trained on then.

    Attributes:
        trial: photos and copies that numbers of steps are tried on.
        held_out: photos that the trial's loss is measured on; None if something else decides.
        final: photos and copies that the person is fine-tuned on; ``trial`` itself if no photo was
            held out from it.
    """

    trial: PhotoTensors
    held_out: PhotoTensors | None
    final: PhotoTensors


def copies_of_each(photos: int) -> int:
    """Copies with other expressions that each of so many photos gets."""
    return max(1, min(EXPRESSION_COPIES_EACH, EXPRESSION_COPIES // photos))


def with_copies(
    photos: PhotoTensors, clip: FaceClip, network: NetworkConfig, device: str
) -> PhotoTensors:
    """Photos and, after them, their copies.

    Args:
        photos: from :func:`~fsh.trainer.person.photo_tensors.photo_tensors`.
        clip: the same photos.
        network: whose pictures they are for.
    """
    copies = copies_of_each(len(clip))
    each = [copies]
    clips = [expression_copies(clip, copies, seed=3)]
    if len(clip) < FEW_PHOTOS:
        clips.append(moved_copies(expression_copies(clip, copies, seed=4), 1, seed=1))
        each.append(copies)
    parts = [photos, *(photo_tensors(more, network, device)[0] for more in clips)]
    return PhotoTensors(
        torch.cat([part.images for part in parts]),
        torch.cat([part.landmark_images for part in parts]),
        torch.cat([part.real for part in parts]),
        torch.cat([part.points for part in parts]),
        originals=len(photos),
        origins=torch.cat(
            [photos.origins, *(photos.origins.repeat_interleave(count) for count in each)]
        ),
    )


def split_photos(
    photos: PhotoTensors,
    clip: FaceClip,
    network: NetworkConfig,
    device: str,
    *,
    by_loss: bool,
    again: bool = True,
) -> PhotoSplit:
    """Decide what is trained on, and what is held out.

    A quarter of the photos is held out; of few photos, which cannot be spared, moved copies are.

    Args:
        photos: from :func:`~fsh.trainer.person.photo_tensors.photo_tensors`.
        clip: the same photos.
        network: whose pictures they are for.
        by_loss: the loss on held-out photos decides about the number of steps; if not, nothing is
            held out.
        again: what is held out is trained on in the end; else the trial is all that is.
    """
    if not by_loss or len(clip) < FEW_PHOTOS:
        final, held_out = with_copies(photos, clip, network, device), None
        if by_loss:
            copies = moved_copies(clip, HELD_OUT_COPIES, seed=2)
            held_out, _ = photo_tensors(copies, network, device)
        return PhotoSplit(final, held_out, final)
    count = max(1, len(clip) // 4)
    spared = np.linspace(0, len(clip) - 1, count + 2).round().astype(int)[1:-1].tolist()
    used = [i for i in range(len(clip)) if i not in spared]
    trial = with_copies(photos[used], clip.take(used), network, device)
    final = with_copies(photos, clip, network, device) if again else trial
    return PhotoSplit(trial, photos[spared], final)
