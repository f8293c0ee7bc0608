"""The losses of what is painted between the lips, in the mouths' own patches.

Wherever a picture was put together of photos, its paint is compared all the same: that is how it
learns what no photo of the person shows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fsh.trainer.models.composition import Composition
from fsh.trainer.models.mouth_paint import MouthDiscriminator
from fsh.trainer.models.references import References

#: Share of the adversarial term in the loss. Without it teeth stay a grey band.
_ADVERSARIAL = 0.1


class Mouths(NamedTuple):
    """B mouths, painted and true, in patches of S × S.

    Attributes:
        fake, real: (B, 3, S, S), −1…1; around the mouth both are the true picture's.
        inside: (B, 1, S, S), 0…1: between the lips.
    """

    fake: Tensor
    real: Tensor
    inside: Tensor

    def detached(self) -> Mouths:
        return self._replace(fake=self.fake.detach())


def mouths_of(composition: Composition, references: References, images: Tensor) -> Mouths:
    """The mouths of pictures that stand for images (B, 3, P, P)."""
    real = references.mouth.of_picture(images)
    inside = references.mouth_inside
    return Mouths(torch.lerp(real, composition.mouth, inside), real, inside)


def mouth_loss(discriminator: MouthDiscriminator, mouths: Mouths) -> Tensor:
    """Of the paint: mean absolute difference between the lips, feature matching, a hinge loss."""
    score, features = discriminator(mouths.fake, mouths.inside)
    with torch.no_grad():
        _, wanted = discriminator(mouths.real, mouths.inside)
    seen = 3 * mouths.inside.sum().clamp_min(1)
    pixels = ((mouths.fake - mouths.real).abs() * mouths.inside).sum() / seen
    pairs = zip(features, wanted, strict=True)
    matching = torch.stack([F.l1_loss(one, other) for one, other in pairs]).sum()
    return pixels + matching - _ADVERSARIAL * score.mean()


def mouth_discriminator_loss(discriminator: MouthDiscriminator, mouths: Mouths) -> Tensor:
    """Of the discriminator: a hinge loss on true and painted mouths."""
    both = torch.cat([mouths.real, mouths.fake]), mouths.inside.repeat(2, 1, 1, 1)
    real, fake = discriminator(*both)[0].chunk(2)
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
