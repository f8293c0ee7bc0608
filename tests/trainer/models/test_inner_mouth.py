"""What is painted between the lips: where it lies, and where it goes."""

from __future__ import annotations

import pytest
import torch
from mouths import SIDE, face, patch, smiling
from tiny_data import template

from fsh.schemas.faces.mesh import LOWER_LIP, UPPER_LIP
from fsh.trainer.models.inner_mouth import (
    mouth_maps,
    mouth_patch,
)
from fsh.trainer.models.mouth_paint import InnerMouth, MouthDiscriminator

LARGE = 128


@pytest.mark.parametrize("turn", [0.0, 0.5, -1.2])
def test_a_mouth_lies_where_its_lips_are_however_the_head_is_held(turn):
    mesh = face(turn=turn)
    _, inside = patch(mesh).in_picture(torch.zeros(1, 3, SIDE, SIDE), LARGE)
    line = (torch.arange(LARGE) + 0.5) / LARGE
    y, x = torch.meshgrid(line, line, indexing="ij")
    middle = mesh[[*UPPER_LIP, *LOWER_LIP], :2].mean(0)
    weight = inside[0, 0] / inside.sum()
    found = torch.stack([(x * weight).sum(), (y * weight).sum()])
    assert torch.allclose(found, middle, atol=0.003)
    # Two parabolas of that height over that width: 2/3 of the box around them.
    assert float(inside.sum()) / LARGE**2 == pytest.approx(2 / 3 * 0.2 * 0.08, rel=0.1)


def test_a_shut_mouth_has_no_inside():
    assert patch(face(0.0)).inside.max() <= 0.26
    assert patch(face(-0.02)).inside.max() == 0


def test_patches_are_cut_out_of_pictures_where_they_are_put_into_them():
    mouths = patch(face(), face(0.15, turn=0.3))
    painted = torch.rand(2, 3, 1, 1).expand(-1, -1, SIDE, SIDE)
    shown, inside = mouths.in_picture(painted, LARGE)
    again = mouths.of_picture(shown * inside)
    sure = (mouths.inside == 1).expand(-1, 3, -1, -1)
    assert (again - painted)[sure].abs().mean() < 0.05


@pytest.mark.parametrize("opening", [0.15, 0.01, -0.02])
@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_trimmed_to_what_they_show_mouths_are_drawn_as_before(opening, turn):
    mouths = patch(face(opening, turn), face(opening / 2, -turn))
    torch.manual_seed(0)
    network = InnerMouth()
    whole, inside = mouths.in_picture(network(mouths.maps), LARGE)
    small = mouths.trimmed()
    rows, columns = small.window(LARGE)
    assert small.maps.shape[2] < (0.95 if opening > 0.1 else 0.4) * SIDE
    part, part_inside = small.in_picture(network(small.maps), LARGE, (rows, columns))
    assert part.shape[2:] == (rows.stop - rows.start, columns.stop - columns.start)
    shown = inside * whole
    assert torch.allclose(part * part_inside, shown[:, :, rows, columns], atol=1e-4)
    inside[:, :, rows, columns] = 0
    assert inside.abs().max() < 1e-5


def test_places_are_told_apart_from_lip_to_lip_and_colors_are_those_around():
    colors = torch.full((1, 2, 3, SIDE, SIDE), 0.25)
    colors[:, :, 2] = -0.5
    maps = patch(face(), colors=colors).maps[0]
    assert maps.shape == (mouth_maps(), SIDE, SIDE)
    under_upper = maps[3, :, SIDE // 2]
    assert (under_upper.diff() > 0).all() and under_upper.min() < 0 < under_upper.max()
    known = maps[-12:, 0, 0].view(4, 3)
    assert torch.allclose(known, torch.tensor([0.25, 0.25, -0.5]).expand(4, 3))


def test_landmarks_alone_have_no_mouth_to_paint():
    points = torch.from_numpy(template())[None]
    shown, trust = torch.zeros(1, 2, 3, SIDE, SIDE), torch.ones(1, 2, 1, SIDE, SIDE)
    mouths = mouth_patch(points, shown, trust, SIDE)
    assert mouths.maps.shape == (1, mouth_maps(), SIDE, SIDE) and mouths.inside.max() == 0
    assert mouths.in_picture(torch.ones(1, 3, SIDE, SIDE), LARGE)[1].max() == 0
    assert mouths.of_picture(torch.zeros(1, 3, LARGE, LARGE)).shape == (1, 3, SIDE, SIDE)


def test_how_dark_it_is_behind_teeth_is_learned_from_where_it_is():
    torch.manual_seed(0)
    mouths = patch(smiling())
    wanted = torch.where(mouths.maps[:, :1] < 0, -0.1, -0.9).expand(-1, 3, -1, -1)
    upper, lower = mouths.maps[:, 1:2] / 4, mouths.maps[:, 2:3] / 4
    behind = mouths.inside * (upper > 0.1) * (lower > 0.05)
    assert behind.sum() > 20
    network = InnerMouth()
    adam = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(100):
        off = ((network(mouths.maps) - wanted).abs() * behind).sum() / behind.sum() / 3
        adam.zero_grad()
        off.backward()
        adam.step()
    assert off < 0.1


def test_the_discriminator_judges_place_by_place():
    torch.manual_seed(0)
    judge, pictures = MouthDiscriminator().eval(), torch.rand(2, 3, SIDE, SIDE)
    scores, features = judge(pictures, torch.ones(2, 1, SIDE, SIDE))
    assert scores.shape == (2, 1, SIDE // 8, SIDE // 8) and len(features) == 3
