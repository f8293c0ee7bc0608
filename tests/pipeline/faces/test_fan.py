"""Our batched FAN against face-alignment's own single-image code, on the same random weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from face_alignment import FaceAlignment, LandmarksType, utils
from face_alignment.models import FAN
from faces_helpers import Told, portrait
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.pipeline.faces.backends import BACKENDS, choose_backend, load_backend
from fsh.pipeline.faces.fan import FanLandmarks, load_network, points_from_heatmaps
from fsh.schemas.errors import FshError
from fsh.schemas.weights import WeightFile

BOXES = np.array(
    [
        [179, 83, 267, 171],  # the face
        [10.25, 20.5, 60, 90],
        [-30, -10, 100, 120],  # over the edge
        [400.5, 300.25, 520, 505],
    ],
    np.float32,
)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """A random one-hourglass FAN as the real file is made: a plain state dict."""
    torch.manual_seed(0)
    network = FAN(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as if trained: statistics that do something
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp("fan") / "fan.pth.tar"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch):
    """Their decoder without numba, which would spend longer compiling than the test runs."""
    for name in ("_get_preds_fromhm", "transform_np"):
        function = getattr(utils, name)
        monkeypatch.setattr(utils, name, getattr(function, "py_func", function))


def theirs(network: FAN, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """face-alignment's get_landmarks_from_image, its detector and download left out."""
    alignment = FaceAlignment.__new__(FaceAlignment)
    alignment.device, alignment.dtype = "cpu", torch.float32
    alignment.flip_input, alignment.max_batch_size = True, 1
    alignment.landmarks_type = LandmarksType.TWO_D
    alignment.face_detector = SimpleNamespace(reference_scale=utils.REFERENCE_SCALE)
    alignment.face_alignment_net = network
    return alignment.get_landmarks_from_image(image, detected_faces=[box.tolist()])[0]


def test_batched_equals_one_by_one(weights_file):
    backend = FanLandmarks(weights_file, device="cpu", batch=3)
    images = np.stack([portrait(), portrait()[::-1], portrait(), portrait()[:, ::-1]])
    ours = backend.landmarks(images, BOXES).points
    assert backend.name == "fan" and ours.dtype == np.float32
    for image, box, points in zip(images, BOXES, ours, strict=True):
        cut_off = theirs(backend.network, image, box)
        # They cut edge coordinates to whole numbers; ours are pixel centres, half a pixel less.
        assert np.array_equal(np.trunc(points + 0.5), cut_off)
        assert np.ptp(cut_off, axis=0).min() > 50  # the heat maps do peak all over the place


def test_unusable_boxes_give_nan(weights_file):
    backend = FanLandmarks(weights_file, device="cpu")
    boxes = np.array([BOXES[0], [np.nan] * 4, [600, 10, 700, 90], [5, 5, 5, 5]], np.float32)
    points = backend.landmarks(np.stack([portrait()] * 4), boxes).points
    assert np.isfinite(points[0]).all() and np.isnan(points[1:]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.3, 4), st.floats(-100, 600), st.floats(-100, 600))
def test_decoding_equals_theirs(seed, scale, x, y):
    maps = np.random.default_rng(seed).random((1, 68, 64, 64), np.float32)
    # Peaks at the edge, where there is no neighbour to lean to.
    maps[0, 0, 0, 5] = maps[0, 1, 63, 63] = maps[0, 2, 30, 0] = maps[0, 3, 1, 1] = 2
    center = np.array([x, y])
    cells, _, _ = utils.get_preds_fromhm(maps.copy())
    wanted = center + (cells[0] / 64 - 0.5) * 200 * scale - 0.5
    ours = points_from_heatmaps(maps, center[None], np.array([scale]))[0]
    assert np.allclose(ours, wanted, atol=1e-2)


def test_a_file_that_is_no_fan_is_refused(tmp_path):
    for name, content in {"text": b"hello", "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FshError, match="not FAN weights"):
            load_network(tmp_path / name)
    torch.save({"l0.weight": torch.zeros(3)}, tmp_path / "other")
    with pytest.raises(FshError, match="not FAN weights"):
        load_network(tmp_path / "other")


def test_auto_takes_fan_when_its_weights_are_there(weights_file, monkeypatch):
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    monkeypatch.setenv("FSH_WEIGHTS", str(weights_file.parent))
    here = WeightFile("FAN", weights_file.name, "", digest, "none stated")
    backends = {**BACKENDS, "fan": replace(BACKENDS["fan"], weights=here)}
    told = Told()
    assert choose_backend("auto", told, backends=backends, gpu=True) == "fan"
    assert str(weights_file) in told.lines[0] and "not stated" in told.lines[0]
    assert load_backend("fan", backends).name == "fan"
