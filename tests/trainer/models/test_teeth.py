"""Where teeth are: fixed to skull and chin, seen in perspective of a turned head."""

from __future__ import annotations

import math

import pytest
import torch
from mouths import patch, smiling
from solid_head import placed

from fsh.trainer.models.head_motion import place_heads
from fsh.trainer.models.inner_mouth import WAVED
from fsh.trainer.models.mouth_paint import InnerMouth
from fsh.trainer.models.teeth import UPPER_HEIGHT, tooth_rows
from fsh.trainer.models.thin_plate import places

SIDE = 512
MIDDLE_INCISOR = 8.5 / 90


def turned(degrees: float) -> torch.Tensor:
    """A head looking to its side."""
    mesh = placed()
    angle = math.radians(degrees)
    c, s = math.cos(angle), math.sin(angle)
    middle = mesh.mean(0)
    turn = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    return (mesh - middle) @ turn.mT + middle


@pytest.mark.parametrize("degrees", [0.0, 25.0, -40.0])
def test_a_place_on_the_arch_is_found_again_however_the_head_is_turned(degrees):
    mesh = turned(degrees)[None]
    size, turn, shift = place_heads(mesh)
    x = torch.tensor([-0.12, 0.0, 0.09])
    teeth = torch.stack([x, torch.full_like(x, 0.75), -0.22 + 2.2 * x**2], 1)
    seen = (size[:, None, None] * (teeth @ turn.mT) + shift[:, None])[0, :, :2]
    upper, _, unit = tooth_rows(mesh, seen.mT[None, :, :, None])
    assert torch.allclose(upper.height[0, :, 0], torch.full((3,), 0.75 - UPPER_HEIGHT), atol=0.02)
    assert upper.along[0, :, 0].sub(x).abs().max() < 0.03
    assert torch.allclose(unit, size)


def test_a_tooth_lies_between_two_gaps_and_rows_mirror_each_other():
    upper, lower, _ = tooth_rows(placed()[None], places(1, SIDE, torch.zeros(())))
    on_first = (upper.along > 0) & (upper.along < MIDDLE_INCISOR)
    assert on_first.any()
    assert upper.gap[on_first].max() <= MIDDLE_INCISOR / 2 + 1e-6
    assert upper.across[on_first].min() < -0.8 and upper.across[on_first].max() > 0.8
    for row in (upper, lower):
        assert torch.allclose(row.gap, row.gap.flip(2), atol=0.02)
        assert (row.along[0, SIDE // 2].diff() > 0).all()


def test_the_lower_row_goes_with_the_chin_and_the_upper_one_stays():
    mesh, dropped = placed(), placed()
    dropped[152, 1] += 0.05
    before, after = (tooth_rows(m[None], places(1, SIDE, torch.zeros(()))) for m in (mesh, dropped))
    assert torch.allclose(before[0].height, after[0].height)
    moved = (after[1].height - before[1].height) * before[2]
    assert torch.allclose(moved, torch.full_like(moved, 0.05), atol=5e-3)


def test_a_profile_has_numbers():
    for row in tooth_rows(turned(90.0)[None], places(1, SIDE, torch.zeros(())))[:2]:
        assert all(part.isfinite().all() for part in row)


def test_painted_teeth_have_gaps_before_anything_is_learned():
    torch.manual_seed(0)
    mouths = patch(smiling())
    network = InnerMouth()
    with torch.no_grad():
        network.seen[-1].bias[0] = 20.0  # all of the upper row
        painted = network(mouths.maps)[0].mean(0)
    along, height, gap = mouths.maps[0, 0] / 4, mouths.maps[0, 1] / 4, mouths.maps[0, WAVED + 2]
    teeth = (mouths.inside[0, 0] > 0.9) & (along.abs() < 0.1) & (height < 0.02)
    line, middle = painted[teeth & (gap < 0.006)], painted[teeth & (gap > 0.03)]
    assert len(line) and len(middle) and middle.mean() - line.mean() > 0.2


def test_teeth_in_grey_photos_are_grey():
    torch.manual_seed(0)
    mouths = patch(smiling(), colors=torch.full((1, 2, 3, 32, 32), 0.3))
    network = InnerMouth()
    with torch.no_grad():
        network.seen[-1].bias[0] = 20.0  # all of the upper row
        painted = network(mouths.maps)[0]
    along, height = mouths.maps[0, :2] / 4
    teeth = (mouths.inside[0, 0] > 0.9) & (along.abs() < 0.1) & (height < 0.02)
    assert teeth.any() and painted.std(0)[teeth].max() < 0.03
    assert painted.std(0)[mouths.inside[0, 0] > 0.9].max() < 0.03  # what is behind them, too


def test_what_is_behind_yellow_lips_is_not_green():
    torch.manual_seed(0)
    yellow = torch.tensor([0.7, 0.4, -0.4]).view(1, 1, 3, 1, 1).expand(1, 2, 3, 32, 32)
    mouths = patch(smiling(), colors=yellow)
    network = InnerMouth()
    with torch.no_grad():
        network.behind[-1].bias[:] = torch.tensor([-1.0, 1.0, -1.0])  # green was learned
        red, green, blue = (network(mouths.maps)[0] + 1) / 2
    inside = mouths.inside[0, 0] > 0.9
    assert (red >= green - 1e-4)[inside].all() and (green >= blue - 1e-4)[inside].all()


def test_between_rows_that_are_far_apart_it_is_dark_whatever_was_learned():
    torch.manual_seed(0)
    pink = torch.tensor([0.8, 0.4, 0.4])
    colors = pink.view(1, 1, 3, 1, 1).expand(1, 2, 3, 32, 32)
    mouths = patch(smiling(1.05, jaw=0.25), colors=colors)
    network = InnerMouth()
    with torch.no_grad():
        network.behind[-1].bias[:] = 3.0  # white was learned
        painted = (network(mouths.maps)[0].mean(0) + 1) / 2
    upper, lower = mouths.maps[0, 1:3] / 4  # from where heights are counted
    deep = (mouths.inside[0, 0] > 0.9) & (upper > 0.19) & (lower > 0.13)
    assert deep.sum() > 5
    assert painted[deep].max() < 0.5 * float((pink.mean() + 1) / 2)
