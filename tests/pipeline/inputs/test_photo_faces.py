"""Every face in photos as users have them, through the real detectors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faces_helpers import portrait

from fsh.pipeline.faces.detection import CnnDetector, FaceDetector
from fsh.pipeline.faces.tracking import overlaps
from fsh.pipeline.inputs.photo_faces import find_faces


@pytest.fixture(scope="module")
def detectors():
    return FaceDetector(), CnnDetector()


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(portrait()[78:180, 170:275], id="fills the frame"),
        pytest.param(cv2.resize(portrait(), (110, 110)), id="tiny"),
        pytest.param(cv2.resize(portrait()[:300, 50:350], (2500, 2500)), id="huge"),
        pytest.param((portrait() * 0.25).astype(np.uint8), id="dark"),
    ],
)
def test_one_face_is_found_in_difficult_photos(detectors, image):
    assert len(find_faces(np.ascontiguousarray(image), *detectors)) == 1


def test_every_face_of_a_wide_photo_is_found_once(detectors):
    found = find_faces(np.hstack([portrait()] * 3), *detectors)
    assert len(found) == 3
    boxes = np.array([face.box for face in found])
    assert (overlaps(boxes, boxes) > 0).sum() == len(found)


def test_no_face_in_a_picture_without_one(detectors):
    gradient = np.tile(np.arange(256, dtype=np.uint8), (24, 1))
    assert find_faces(np.stack([gradient] * 3, axis=2), *detectors) == []
