"""One person's generator with everything folded in, and the same as ONNX."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_data import SPEC, FaceSpec, clip_of
from tiny_run import TINY
from untrained import untrained

from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.trainer.models.folded_generator import FoldedGenerator
from fsh.trainer.models.networks import Embedder
from fsh.trainer.person.onnx_export import drawing_of, export_onnx
from fsh.trainer.person.photo_references import PhotoReferences
from fsh.trainer.person.photo_tensors import landmark_image_tensors

#: With self-attention at 32 × 32 and 64 × 64.
ATTENTIVE = replace(TINY, size=64, generator=16, embedder=16, max_channels=32, downs=3)
ATTENTIVE = replace(ATTENTIVE, attention=True)


@pytest.mark.parametrize("network", [TINY, ATTENTIVE])
def test_folded_in_the_drawing_is_the_same(network):
    person = untrained(network)
    landmark_images = landmark_image_tensors(clip_of(5, 5).landmarks, SPEC.size, person.size)
    before = person.coefficients.clone()
    with torch.inference_mode():
        folded = FoldedGenerator(person.generator, person.coefficients)(landmark_images)
        wanted = person.generator(landmark_images, person.coefficients)
    torch.testing.assert_close(folded, wanted, atol=1e-4, rtol=1e-3)
    assert torch.equal(person.coefficients, before)


@pytest.mark.parametrize("network", [TINY, ATTENTIVE])
def test_under_onnxruntime_it_draws_the_same(tmp_path, network):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [onnx]")
    pytest.importorskip("onnx", reason="the extra [onnx]")
    person = untrained(network)
    torch.manual_seed(1)
    embedder = Embedder(person.network).eval()
    differences = export_onnx(person, embedder, tmp_path / "ada")
    assert set(differences) == {"generator", "embedder"} and max(differences.values()) < 1e-3
    points = clip_of(5, 7).landmarks
    session = onnxruntime.InferenceSession(str(tmp_path / "ada" / "generator.onnx"))
    landmark_images = landmark_image_tensors(points, SPEC.size, person.size).numpy()
    images = session.run(None, {"landmarks": landmark_images})[0]
    pictures = ((images + 1) * 127.5).round().clip(0, 255).transpose(0, 2, 3, 1)
    assert np.abs(pictures - person.draw(points)).max() <= 1
    card = json.loads((tmp_path / "ada" / "model.json").read_text())
    shape = card["networks"]["generator"]["inputs"]["landmarks"]["shape"]
    assert shape[1:] == [3, network.size, network.size]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ada"]
    export_onnx(person, None, tmp_path / "ada")  # in place of the older one
    assert sorted(p.name for p in (tmp_path / "ada").iterdir()) == ["generator.onnx", "model.json"]
    (tmp_path / "ada" / "mine.txt").write_text("mine")
    with pytest.raises(FshError, match=r"holds mine\.txt"):
        export_onnx(person, None, tmp_path / "ada")
    assert (tmp_path / "ada" / "mine.txt").read_text() == "mine"


def test_without_the_extra_it_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(FshError, match=r"fsh\[onnx\]"):
        export_onnx(untrained(), None, tmp_path / "ada")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backend", ["mediapipe", "dlib"])
def test_a_person_of_photos_to_copy_from_draws_the_same_under_onnxruntime(tmp_path, backend):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [onnx]")
    pytest.importorskip("onnx", reason="the extra [onnx]")
    clip = clip_of(5, 5, spec=FaceSpec(size=64, backend=backend))
    network = replace(TINY, references=2, picture=64)
    references = PhotoReferences.of(clip)
    person = replace(untrained(network), spec=clip.spec, references=references)
    person = replace(person, landmarks=clip.landmarks, mesh=clip.mesh)
    torch.nn.init.normal_(person.generator.last.weight, std=0.1)
    assert export_onnx(person, None, tmp_path / "ada")["generator"] < 1e-3
    lines = landmark_image_tensors(clip.landmarks, 64, network.size)
    _, given = drawing_of(person, lines)
    session = onnxruntime.InferenceSession(str(tmp_path / "ada" / "generator.onnx"))
    images = session.run(None, {name: value.numpy() for name, value in given.items()})[0]
    pictures = ((images + 1) * 127.5).round().clip(0, 255).transpose(0, 2, 3, 1)
    wanted = person.draw(FaceLandmarks(clip.landmarks, clip.mesh))
    assert np.abs(pictures - wanted).max() <= 1
    inputs = json.loads((tmp_path / "ada" / "model.json").read_text())["networks"]["generator"]
    for name, value in given.items():
        assert inputs["inputs"][name]["shape"][1:] == list(value.shape[1:])


def test_a_person_of_many_photos_whose_eyes_are_drawn_is_exported(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra [onnx]")
    pytest.importorskip("onnx", reason="the extra [onnx]")
    clip = clip_of(5, 6, spec=FaceSpec(size=64, backend="mediapipe", gaze=True))
    references = PhotoReferences.of(clip)
    person = replace(untrained(replace(TINY, references=2, picture=64)), references=references)
    person = replace(person, spec=clip.spec, landmarks=clip.landmarks, mesh=clip.mesh)
    assert export_onnx(person, None, tmp_path / "ada")["generator"] < 1e-3


def test_onnxruntime_is_loaded_without_its_reports(tmp_path):
    """It writes a number of its own into the temporary folder as soon as it would send any."""
    pytest.importorskip("onnx", reason="the extra [onnx]")
    code = (
        "from fsh.trainer.person.onnx_export import export_onnx; from pathlib import Path\n"
        "from fsh.schemas.errors import FshError\n"
        "try: export_onnx(None, None, Path('.'))\n"
        "except FshError: import sys; assert 'onnxruntime' in sys.modules"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment["TMPDIR"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, cwd=tmp_path)
    assert not list(tmp_path.iterdir())
