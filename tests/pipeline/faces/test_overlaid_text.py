"""Text over a face, by the real detector on a real portrait."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest
from videos import portrait

from fsh.pipeline.faces import overlaid_text
from fsh.pipeline.faces.overlaid_text import covered_share, require_text_detector, text_overlap
from fsh.schemas.errors import FshError

BOX = np.array([90.0, 60.0, 220.0, 190.0])


def captioned(text: str, at: tuple[int, int], scale: float = 0.9) -> np.ndarray:
    picture = portrait().copy()
    for ink, thick in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thick, cv2.LINE_AA)
    return picture


def test_captions_on_the_face_count_and_others_do_not():
    plain, over = portrait(), captioned("BREAKING", (88, 175))
    above = captioned("TV 24", (10, 30))
    found = [text_overlap(np.stack([one] * 2), np.stack([BOX] * 2)) for one in (plain, over, above)]
    assert found[0] < 0.01 and found[2] < 0.01
    assert 0.08 < found[1] < 0.5
    mixed = np.stack([plain, over, plain])
    assert text_overlap(mixed, np.stack([BOX] * 3)) == found[0], "one frame of three is no caption"


def test_a_blob_as_tall_as_the_face_is_no_line_of_text():
    probability = np.zeros((256, 256), np.float32)
    box = np.array([0.25, 0.25, 0.75, 0.75])
    probability[90:160, 80:180] = 0.9
    assert covered_share(probability, box) == 0
    probability[:] = 0
    probability[100:112, 70:180] = 0.9
    assert 0.08 < covered_share(probability, box) < 0.25
    assert covered_share(probability * 0.5, box) == 0
    assert covered_share(probability, np.array([0.9, 0.9, 0.8, 0.8])) == 0


def test_what_is_missing_is_named(monkeypatch):
    assert require_text_detector().is_file()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FshError, match=r"pip install 'fsh\[text\]'"):
        overlaid_text.require_text_detector()
