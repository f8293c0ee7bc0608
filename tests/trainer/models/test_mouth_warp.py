"""Mouths open by another amount than in the photo: lips bend, teeth do not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from mouths import smiling

from fsh.schemas.faces.mesh_triangles import TRIANGLES
from fsh.trainer.models.face_warp import mesh_warp
from fsh.trainer.models.head_motion import place_heads
from fsh.trainer.models.openings import shows_mouth
from fsh.trainer.models.rasterize import rasterize
from fsh.trainer.models.teeth import on_arches
from fsh.trainer.models.thin_plate import places

SIDE = 256
TRIANGLE_NUMBERS = torch.from_numpy(TRIANGLES)


class Bent:
    """A photo bent to another mouth; all by pixel: whether it lies between the lips, places in the
    head of picture and photo (x to the left, y down), and trust."""

    def __init__(self, target: torch.Tensor, photo: torch.Tensor) -> None:
        warp = mesh_warp(target[None], photo[None], SIDE)
        self.inside = shows_mouth(rasterize(target[None], TRIANGLE_NUMBERS, SIDE))[0]
        here, there = place_heads(target[None]), place_heads(photo[None])
        self.x, self.y = on_arches(here, places(1, SIDE, target))[0]
        self.own_x, self.own_y = on_arches(there, warp.reads)[0]
        self.reads, self.trust = warp.reads[0], warp.trust[0, 0]

    def where(self, top: float, bottom: float) -> torch.Tensor:
        """Between the lips, not at their edge, near the middle, from one height to another."""
        outside = F.max_pool2d((~self.inside)[None].float(), 5, 1, 2)[0]
        found = (outside == 0) & (self.x.abs() < 0.08) & (self.y > top) & (self.y < bottom)
        assert found.sum() > 5
        return found


def test_the_upper_row_stays_as_large_as_it_is_when_the_mouth_opens():
    bent = Bent(smiling(1.05, jaw=0.22), smiling(0.80, jaw=0.0))
    teeth = bent.where(0.72, 0.775)
    assert (bent.own_y - bent.y)[teeth].abs().max() < 0.01
    assert (bent.own_x - bent.x)[teeth].abs().max() < 0.01
    assert bent.trust[teeth].min() > 0.9


def test_what_teeth_that_bite_do_not_show_is_not_trusted():
    bent = Bent(smiling(1.05, jaw=0.22), smiling(0.80, jaw=0.0))
    assert bent.trust[bent.where(0.84, 0.97)].max() < 0.05


def test_the_lower_row_goes_with_the_chin():
    bent = Bent(smiling(1.16, jaw=0.24), smiling(0.99, jaw=0.09))
    teeth = bent.where(1.2 + 0.24 - 0.43 + 0.02, 1.2 + 0.24 - 0.43 + 0.07)
    assert (bent.own_y - bent.y)[teeth].add(0.24 - 0.09).abs().max() < 0.01
    assert bent.trust[teeth].min() > 0.9


def test_what_is_behind_is_all_that_grows():
    bent = Bent(smiling(1.16, jaw=0.24), smiling(0.99, jaw=0.09))
    behind = bent.where(0.81, 1.2 + 0.24 - 0.45)
    assert bent.trust[behind].min() > 0.9
    own = bent.own_y[behind]
    assert own.min() > 0.78 and own.max() < 1.2 + 0.09 - 0.42


def test_lips_are_never_read_between_the_lips():
    photo = smiling(0.80, jaw=0.0)
    bent = Bent(smiling(1.05, jaw=0.22), photo)
    of_photo = shows_mouth(rasterize(photo[None], TRIANGLE_NUMBERS, SIDE))[0]
    near_lips = F.max_pool2d(of_photo[None].float(), 3, 1, 1)[0] > 0
    x, y = (bent.reads * SIDE).long().clamp(0, SIDE - 1)
    assert near_lips[y, x][bent.inside & (bent.x.abs() < 0.2)].all()


@pytest.mark.parametrize("jaw", [0.0, 0.005])
def test_a_mouth_open_alike_is_bent_as_its_lips_are(jaw):
    bent = Bent(smiling(0.86 + jaw, jaw=jaw), smiling(0.86))
    teeth = bent.where(0.72, 0.84)
    assert (bent.own_y - bent.y)[teeth].abs().max() < 2 * jaw + 2e-3
    assert bent.trust[teeth].min() > 0.9
