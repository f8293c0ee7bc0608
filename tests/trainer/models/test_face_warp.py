"""Bent photos: where each place reads, and what a photo does not show."""

from __future__ import annotations

import pytest
import torch
from solid_head import placed
from tiny_data import template

from fsh.schemas.faces.mesh import place_mesh
from fsh.trainer.models import face_warp
from fsh.trainer.models.face_warp import (
    enlarged,
    landmark_warp,
    mesh_warp,
    places,
    read,
)
from fsh.trainer.models.head_motion import head_motion, place_heads

SIDE = 64


def test_a_photo_bent_to_itself_reads_every_place_where_it_is():
    mesh = placed()[None]
    warp = mesh_warp(mesh, mesh, SIDE)
    assert warp.displacement.abs().max() < 2e-3
    assert warp.trust.mean() > 0.99 and warp.stretch.abs().max() < 1e-3
    assert 0.1 < warp.face.mean() < 0.3


def test_a_shifted_face_reads_from_where_it_was_and_the_edges_hold():
    warp = mesh_warp(placed(x=0.55)[None], placed(x=0.45)[None], SIDE)
    inside = warp.face[0, 0] > 0
    moved = warp.displacement[0]
    assert (moved[0][inside] + 0.1).abs().max() < 2e-3 and moved[1][inside].abs().max() < 2e-3
    edge = torch.cat([moved[:, 0], moved[:, -1], moved[:, :, 0], moved[:, :, -1]], 1)
    assert edge.abs().max() < 0.03


def test_what_the_photo_hides_is_not_trusted():
    front, side = placed()[None], placed(yaw=70)[None]
    warp = mesh_warp(front, side, SIDE)
    inside = warp.face[0, 0] > 0
    columns = torch.arange(SIDE).expand(SIDE, -1)
    left, right = inside & (columns < 26), inside & (columns > 38)
    shown = warp.trust[0, 0]
    far, near = sorted([float(shown[left].mean()), float(shown[right].mean())])
    assert far < 0.2 and near > 0.9
    assert mesh_warp(side, front, SIDE).trust[0, 0].mean() > 0.9


def test_a_face_out_of_the_photo_is_not_trusted():
    warp = mesh_warp(placed()[None], placed(x=1.3)[None], SIDE)
    assert warp.trust[0, 0][warp.face[0, 0] > 0].max() == 0


def test_stretch_is_how_much_larger_a_place_became():
    warp = mesh_warp(placed(scale=1.5)[None], placed()[None], SIDE)
    wanted = torch.tensor(1.5**2).log() / 3
    assert warp.stretch[0, 0][warp.face[0, 0] > 0].median() == pytest.approx(
        float(wanted), rel=0.02
    )


def test_the_spline_takes_landmarks_to_landmarks():
    source = torch.from_numpy(template())[None]
    target = source + torch.tensor([0.04, -0.02])
    warp = landmark_warp(target, source, 256)
    pixels = (target[0] * 256).long()
    found = warp.reads[0, :, pixels[:, 1], pixels[:, 0]].T
    wanted = (pixels + 0.5) / 256 + (source - target)[0]
    assert (found - wanted).abs().max() < 0.01
    assert landmark_warp(source, source, SIDE).displacement.abs().max() < 1e-4


def test_heads_are_placed_as_the_schemas_do_it():
    meshes = torch.stack([placed(), placed(yaw=40, x=0.3), placed(yaw=-20, scale=0.7)])
    scale, rotation, shift = place_heads(meshes)
    for i, mesh in enumerate(meshes):
        wanted = place_mesh(mesh.numpy())
        assert float(scale[i]) == pytest.approx(wanted.scale, rel=1e-4)
        assert torch.allclose(rotation[i].double(), torch.from_numpy(wanted.rotation), atol=1e-4)
        assert torch.allclose(shift[i].double(), torch.from_numpy(wanted.shift), atol=1e-4)


def test_heads_are_placed_once_for_warp_and_motion(monkeypatch):
    calls = []
    place = face_warp.place_heads
    monkeypatch.setattr(face_warp, "place_heads", lambda mesh: calls.append(mesh) or place(mesh))
    target, photos = placed(yaw=20)[None], torch.stack([placed(), placed(x=0.4)])
    warp = mesh_warp(target, photos, 32)
    assert len(calls) == 2
    assert torch.equal(warp.motion, head_motion(target, photos))


def test_reading_every_place_where_it_is_gives_the_picture():
    picture = torch.rand(1, 3, 16, 16)
    for how in ("bilinear", "bicubic"):
        assert torch.allclose(read(picture, places(1, 16, picture), how), picture, atol=1e-5)
    assert enlarged(picture, 16) is picture and enlarged(picture, 32).shape[-1] == 32
