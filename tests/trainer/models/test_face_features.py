"""The face recogniser's first levels in torch, against all of it in NumPy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from faces_helpers import portrait

from fsh.pipeline.faces.embedding_network import EmbeddingNetwork
from fsh.schemas.progress import Silent
from fsh.schemas.recognizer import CHIP_SIDE, RECOGNIZER, model_file, read_recognizer
from fsh.trainer.models.face_features import LEAST_SIDE, FaceFeatures
from fsh.trainer.presets import resolve
from fsh.trainer.training.content import load_content


@pytest.fixture(scope="module")
def network():
    return read_recognizer(model_file(RECOGNIZER))


def tensor(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).float().movedim(-1, 1) / 127.5 - 1


def test_all_levels_are_the_embedding_network(network):
    chips = np.stack([cv2.resize(portrait()[60:210, 150:300], (CHIP_SIDE, CHIP_SIDE))] * 2)
    chips[1] = np.rot90(chips[1])
    levels = FaceFeatures(network, levels=5)(tensor(chips))
    embedding = levels[-1].mean((2, 3)).numpy() @ network.last
    np.testing.assert_allclose(
        embedding, EmbeddingNetwork(model_file(RECOGNIZER))(chips), atol=1e-5
    )


def test_small_pictures_are_enlarged_and_gradients_reach_them(network):
    features = FaceFeatures(network)
    small = (torch.rand(2, 3, 64, 64) * 2 - 1).requires_grad_()
    large = torch.nn.functional.interpolate(small, size=LEAST_SIDE, mode="bilinear")
    for a, b in zip(features(small), features(large), strict=True):
        torch.testing.assert_close(a, b)
    sum(x.sum() for x in features(small)).backward()
    assert small.grad is not None and small.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in features.parameters())


def test_it_is_the_content_network_where_a_cpu_trains():
    content, record = load_content(resolve("nano", "cpu"), Silent())
    assert list(content.networks) == ["face"]
    assert "SHA-256" in record["face"] and record["vgg19"] == record["vggface"] == "off"
    real = torch.rand(1, 3, 64, 64) * 2 - 1
    lines = torch.zeros_like(real)
    assert content(real, real, lines)["face"] == 0 < content(-real, real, lines)["face"]
