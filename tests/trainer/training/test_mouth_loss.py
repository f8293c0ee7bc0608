"""The losses of the paint between the lips."""

from __future__ import annotations

import torch

from fsh.trainer.models.mouth_paint import MouthDiscriminator
from fsh.trainer.training.mouth_loss import Mouths, mouth_discriminator_loss, mouth_loss

SIDE = 16


def mouths(paint: float) -> Mouths:
    inside = torch.zeros(2, 1, SIDE, SIDE)
    inside[:, :, 4:12, 4:12] = 1
    real = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return Mouths(torch.lerp(real, torch.full_like(real, paint), inside), real, inside)


def judge() -> MouthDiscriminator:
    torch.manual_seed(0)
    return MouthDiscriminator().eval()


def test_what_is_true_costs_less_than_what_is_not():
    true = mouths(0.5)._replace(fake=mouths(0.5).real)
    assert (
        mouth_loss(judge(), true)
        < mouth_loss(judge(), mouths(0.5))
        < mouth_loss(judge(), mouths(-1))
    )


def test_nothing_outside_of_the_mouth_has_a_gradient():
    made = mouths(0.5)
    paint = torch.zeros_like(made.real, requires_grad=True)
    fake = torch.lerp(made.real, paint, made.inside)
    mouth_loss(judge(), made._replace(fake=fake)).backward()
    assert paint.grad is not None
    assert paint.grad[:, :, :4].abs().max() == 0 and paint.grad[:, :, 5:11, 5:11].abs().min() > 0


def test_mouths_that_are_all_shut_cost_nothing_of_their_own():
    shut = mouths(0.5)._replace(inside=torch.zeros(2, 1, SIDE, SIDE))
    shut = shut._replace(fake=shut.real)
    score, _ = judge()(shut.fake, shut.inside)
    assert torch.allclose(mouth_loss(judge(), shut), -0.1 * score.mean())


def test_the_discriminator_learns_to_tell_paint():
    made, one = mouths(-0.9), judge().train()
    adam = torch.optim.Adam(one.parameters(), 1e-2)
    first = float(mouth_discriminator_loss(one, made).detach())
    for _ in range(30):
        loss = mouth_discriminator_loss(one, made)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert float(loss.detach()) < 0.5 * first
