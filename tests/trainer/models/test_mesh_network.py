"""MediaPipe's face mesh in torch: the same points as in LiteRT, in the same windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from faces_helpers import face_landmarker, portrait, portrait_face

from fsh.pipeline.faces.face_mesh import FaceMesh, windows_of_meshes
from fsh.schemas.errors import FshError
from fsh.schemas.mesh import MESH_POINTS
from fsh.schemas.mesh_network import MESH_INPUT, read_mesh_graph
from fsh.trainer.models.mesh_network import MeshNetwork, face_windows, look
from fsh.trainer.training.mesh_loss import mesh_loss


@pytest.fixture(scope="module")
def network() -> MeshNetwork:
    return MeshNetwork(read_mesh_graph(face_landmarker()))


@pytest.fixture(scope="module")
def square() -> np.ndarray:
    """The portrait in a square, uint8 (S, S, 3)."""
    picture = portrait()
    side = min(picture.shape[:2])
    return np.ascontiguousarray(picture[:side, :side])


@pytest.fixture(scope="module")
def mesh(square) -> np.ndarray:
    found, presence = FaceMesh(face_landmarker()).find(
        square[None], np.asarray(portrait_face().box, np.float32)[None]
    )
    assert presence[0] > 0.5
    return found[0]


def images_of(square: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(square).movedim(2, 0)[None].float() / 127.5 - 1


def shares_of(mesh: np.ndarray, square: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((mesh + np.array([0.5, 0.5, 0])).astype(np.float32) / square.shape[0])[
        None
    ]


def test_it_sees_what_litert_sees(network, square, mesh):
    window, windows = windows_of_meshes(mesh[None])[0], face_windows(shares_of(mesh, square))
    mesh, _ = FaceMesh(face_landmarker()).run(square, window)
    seen = look(network, images_of(square), windows)[0].numpy()
    x, y, side, angle = window
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = (seen[:, :2] - 0.5) * side @ turn.T + (x, y) - 0.5
    assert np.abs(found - mesh[:, :2]).mean() < 0.1
    assert np.abs(seen[:, 2] * side - mesh[:, 2]).mean() < 0.2


def test_windows_are_those_of_the_pipeline():
    random = np.random.default_rng(0)
    meshes = random.uniform(40, 200, (3, MESH_POINTS, 3)).astype(np.float32)
    wanted = windows_of_meshes(meshes)
    shares = torch.from_numpy((meshes + 0.5) / 256)
    windows = face_windows(shares).numpy()
    np.testing.assert_allclose((windows[:, :, 2] + 1) / 2 * 256, wanted[:, :2], atol=1e-2)
    across = windows[:, :, 0]
    np.testing.assert_allclose(np.linalg.norm(across, axis=1) * 256, wanted[:, 2], rtol=1e-4)
    np.testing.assert_allclose(np.arctan2(across[:, 1], across[:, 0]), wanted[:, 3], atol=1e-4)


def test_the_loss_is_nothing_for_the_true_face_and_its_gradient_reaches_another(
    network, square, mesh
):
    images, points = images_of(square), shares_of(mesh, square)
    assert mesh_loss(network, images, images, points) == 0
    aside = images.roll(6, dims=-1).requires_grad_()
    loss = mesh_loss(network, aside, images, points)
    further = mesh_loss(network, images.roll(12, dims=-1), images, points)
    assert 0 < loss < further
    loss.backward()
    assert aside.grad is not None and aside.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in network.parameters())


def test_of_landmarks_alone_nothing_is_seen():
    images = torch.zeros(1, 3, 8, 8)
    assert mesh_loss(torch.nn.Identity(), images, images, torch.zeros(1, 68, 2)) == 0


def test_what_is_no_model_is_told_in_one_line(tmp_path):
    (tmp_path / "face_landmarker.task").write_bytes(b"nothing")
    with pytest.raises(FshError, match="face landmarker"):
        read_mesh_graph(tmp_path / "face_landmarker.task")


def test_a_window_is_as_large_as_the_network_wants(network):
    assert network(torch.zeros(2, 3, MESH_INPUT, MESH_INPUT)).shape == (2, MESH_POINTS, 3)
