"""How what is around a face moves: as the head, as far as its middle, or not."""

from __future__ import annotations

import pytest
import torch
from solid_head import placed
from tiny_data import template

from fsh.trainer.models.head_motion import head_motion
from fsh.trainer.models.surroundings import WAYS, head_reads, moved_reads
from fsh.trainer.models.thin_plate import places

SIDE = 32


def test_a_head_that_is_where_it_was_moves_nothing():
    mesh = placed()[None]
    motion = head_motion(mesh, mesh)
    assert torch.allclose(head_reads(motion, SIDE), places(1, SIDE, mesh), atol=1e-5)
    assert motion[0, :, 3].abs().max() < 1e-6


def test_a_head_that_moved_and_grew_takes_its_surroundings_along():
    motion = head_motion(placed(x=0.6, scale=1.5)[None], placed(x=0.4)[None])
    middle = torch.tensor([0.6, 0.5, 1.0])
    assert motion[0, :, :3] @ middle == pytest.approx(torch.tensor([0.4, 0.5]), abs=0.01)
    assert motion[0, :, :2] == pytest.approx(torch.eye(2) / 1.5, abs=0.01)
    assert motion[0, :, 3] == pytest.approx(torch.tensor([-0.2, 0.0]), abs=0.01)


def test_a_turned_head_is_as_wide_as_before():
    matrix = head_motion(placed()[None], placed(yaw=60)[None])[0, :, :2]
    assert matrix == pytest.approx(torch.eye(2), abs=0.02)


def test_a_tilted_head_tilts_its_surroundings():
    tilt = torch.tensor([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    centre = torch.tensor([0.5, 0.5, 0.0])
    tilted = (placed() - centre) @ tilt.T + centre
    assert head_motion(placed()[None], tilted[None])[0, :, :2] == pytest.approx(
        tilt[:2, :2], abs=0.01
    )


def test_several_photos_of_each_picture():
    targets = torch.stack([placed(), placed(x=0.6)])
    photos = torch.stack([placed(x=0.4), placed(), placed(x=0.4), placed()])
    moved = head_motion(targets, photos)[:, 0, 3]
    assert moved == pytest.approx(torch.tensor([-0.1, 0.0, -0.2, -0.1]), abs=0.01)


def test_landmarks_do_where_there_are_no_meshes():
    points = torch.from_numpy(template())[None]
    motion = head_motion(points, points * 0.5 + 0.1)
    assert motion[0, :, :3] == pytest.approx(torch.tensor([[0.5, 0, 0.1], [0, 0.5, 0.1]]), abs=1e-3)
    assert motion[0, :, 3] == pytest.approx((points * -0.5 + 0.1)[0].mean(0), abs=1e-4)


def test_each_way_alone_and_half_of_two():
    motion = head_motion(placed(x=0.6)[None], placed(x=0.4)[None])[None]
    at = places(1, SIDE, motion)
    spline = (at * 0.9)[None]

    def moved(*shares: float, may_stay: float = 1.0) -> torch.Tensor:
        ways = torch.tensor(shares).view(1, 1, WAYS, 1, 1).expand(-1, -1, -1, SIDE, SIDE)
        return moved_reads(spline, motion, ways, torch.full((1, 1, 1, SIDE, SIDE), may_stay))[0]

    assert torch.allclose(moved(1, 0, 0, 0), spline[0])
    assert torch.allclose(moved(0, 1, 0, 0), head_reads(motion, SIDE)[0], atol=1e-6)
    shift = torch.tensor([-0.2, 0.0]).view(1, 2, 1, 1)
    assert torch.allclose(moved(0, 0, 1, 0), at + shift, atol=1e-3)
    assert torch.allclose(moved(0, 0, 0, 1), at)
    assert torch.allclose(moved(0, 0, 0.5, 0.5), at + shift / 2, atol=1e-3)
    assert torch.allclose(moved(0, 0, 0, 1, may_stay=0.0), spline[0])
