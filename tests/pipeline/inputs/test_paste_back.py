"""Drawings pasted back: in the target's place and colours, in step, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import dlib_landmarks, portrait, portrait_points
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_data import template

from fsh.pipeline.faces.crop import CropWindow, crop_image, to_crop
from fsh.pipeline.inputs.paste_back import (
    PasteTarget,
    blend_mask,
    match_colors,
    paste_frame,
    paste_frames,
    read_paste_target,
)
from fsh.schemas.faces.landmarks import NOSE_TIP, RIGID, apply, similarity
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Silent
from fsh.trainer.person.motion_transfer import follow_head_pose

SPEC = FaceSpec()
SAME = (np.ones(3), np.zeros(3))


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    path = tmp_path_factory.mktemp("target") / "portrait.png"
    Image.fromarray(portrait()).save(path)
    return read_paste_target(path, SPEC, dlib_landmarks(), Silent())


def test_pasting_a_pictures_own_crop_changes_only_the_face_and_that_little(target):
    window = target.windows[0]
    crop = crop_image(portrait(), window, SPEC.size)
    mask = blend_mask(target.landmarks, SPEC.size)
    out = paste_frame(portrait(), window, crop, mask, SAME).astype(int)
    # Down to the crop's size and up again: a few sharp pixels lose a tenth of their contrast.
    assert np.abs(out - portrait()).max() < 28 and np.abs(out - portrait()).mean() < 0.2
    left, top, side = window
    outside = np.ones(portrait().shape[:2], bool)
    outside[max(0, top) : top + side, max(0, left) : left + side] = False
    assert (out[outside] == portrait()[outside]).all()


def test_the_mask_covers_the_face_and_ends_before_the_crop_does(target):
    mask = blend_mask(target.landmarks, SPEC.size)
    points = target.landmarks[0].round().astype(int)
    assert (mask[points[:, 1], points[:, 0]] > 0.7).all()
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert edge.max() < 0.01 and mask.min() >= 0 and mask.max() <= 1.001
    assert np.abs(np.diff(mask, axis=0)).max() < 0.2  # feathered
    lost = np.full((1, 68, 2), np.nan, np.float32)
    assert (blend_mask(np.concatenate([target.landmarks, lost]), SPEC.size) == mask).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(-150, 600), st.integers(-150, 600), st.integers(2, 400))
def test_a_window_over_the_edge_is_cut_off(left, top, side):
    frame = np.full((300, 400, 3), 10, np.uint8)
    ones = np.ones((16, 16), np.float32)
    out = paste_frame(
        frame, CropWindow(left, top, side), np.full((16, 16, 3), 200, np.uint8), ones, SAME
    )
    x0, x1 = np.clip([left, left + side], 0, 400)
    y0, y1 = np.clip([top, top + side], 0, 300)
    assert (out == 200).all(axis=2).sum() == (x1 - x0) * (y1 - y0)
    assert (frame == 10).all()


def test_a_drawing_takes_the_colours_of_the_target(target):
    crop = crop_image(portrait(), target.windows[0], SPEC.size)
    mask = blend_mask(target.landmarks, SPEC.size)
    drawing = (crop * [0.6, 0.7, 0.8] + [40, 10, 0]).astype(np.uint8)
    gain, offset = match_colors(drawing, crop, mask)
    toned = drawing * gain + offset
    inside = mask > 0.5
    assert np.abs(toned[inside] - crop[inside]).mean() < 3


def test_a_locked_head_is_where_the_target_is_and_keeps_its_expression():
    place = np.stack([template() * 200 + 20] * 3)
    face = template() * 90 + 5
    talking = np.stack([face, face, face @ [[0.9, 0.3], [-0.3, 0.9]] + 7])
    talking[1, 55:60, 1] += 9
    out = follow_head_pose(talking, place)
    np.testing.assert_allclose(out[0], place[0], atol=0.01)
    np.testing.assert_allclose(out[2], place[2], atol=0.01)
    assert out[1, 57, 1] - place[1, 57, 1] == pytest.approx(20, abs=0.1)
    again = similarity(out[1][RIGID], place[1][RIGID])
    np.testing.assert_allclose(apply(again, out[1]), out[1], atol=0.01)


def clock_target(times):
    windows = [CropWindow(0, 0, 2)] * len(times)
    return PasteTarget(np.array(times), np.zeros((len(times), 68, 2)), windows, None, None)


def test_each_time_of_a_film_has_the_targets_frame_of_that_time():
    target = clock_target([0.0, 0.1, 0.3, 0.4])
    shown = target.frames_at(np.array([5.0, 5.05, 5.1, 5.29, 5.31, 9.0]))
    assert shown.tolist() == [0, 0, 1, 1, 2, 3]
    assert clock_target([0.0]).frames_at(np.array([0.0, 1.0])).tolist() == [0, 0]


def test_every_drawing_goes_into_a_frame(target):
    drawings = iter([np.zeros((64, 64, 3), np.uint8)] * 3)
    points = np.repeat(target.landmarks, 3, axis=0)
    out = list(paste_frames(target, np.zeros(3, int), drawings, points, SPEC.size))
    assert len(out) == 3 and out[0].shape == portrait().shape
    there = portrait_points()[NOSE_TIP].round().astype(int)
    inside = to_crop(portrait_points()[NOSE_TIP], target.windows[0], SPEC.size)
    assert np.linalg.norm(inside - target.landmarks[0, NOSE_TIP]) < 6
    assert (out[2][there[1], there[0]] != portrait()[there[1], there[0]]).any()
