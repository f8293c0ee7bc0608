"""Crop windows: square, unstretched, which part is real, coordinates that come back."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.faces.crop import (
    CropWindow,
    box_to_crop,
    crop_image,
    crop_window,
    real_window,
    to_crop,
)
from fsh.schemas.faces.spec import FaceSpec

windows = st.builds(CropWindow, st.integers(-60, 90), st.integers(-60, 90), st.integers(2, 120))


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 3, y * 4, (x + y)], axis=2).astype(np.uint8)


@given(windows, st.sampled_from([1, 16, 32]))
def test_a_crop_has_the_wanted_size_and_only_colours_of_the_picture(window, size):
    image = picture()
    crop = crop_image(np.full_like(image, 7), window, size)
    assert crop.shape == (size, size, 3) and (crop == 7).all()


@given(windows, st.sampled_from([None, 16, 64, 100]))
def test_what_is_real_does_not_depend_on_what_is_made_up(window, size):
    # As if the picture went on: with its edges repeated, which is what scaling mixes in at an edge.
    image = picture()
    size = size or window.side
    around = cv2.copyMakeBorder(image, *([200] * 4), cv2.BORDER_REPLICATE)
    moved = CropWindow(window.left + 200, window.top + 200, window.side)
    left, top, right, bottom = np.rint(real_window(window, (80, 60), size)).astype(int)
    part = slice(top, bottom), slice(left, right)
    np.testing.assert_array_equal(
        crop_image(image, window, size)[part], crop_image(around, moved, size)[part]
    )


@given(windows)
def test_an_unscaled_crop_shows_the_pictures_pixels(window):
    left, top, side = window
    image, crop = picture(), crop_image(picture(), window, side)
    x0, y0, x1, y1 = real_window(window, (80, 60), side).astype(int)
    shown = image[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    if x1 > x0 and y1 > y0:
        np.testing.assert_array_equal(crop[y0:y1, x0:x1], shown)


@pytest.mark.parametrize(
    ("window", "real"),
    [
        (CropWindow(10, 10, 40), (0, 0, 64, 64)),
        (CropWindow(0, 0, 60), (0, 0, 64, 64)),
        (CropWindow(-10, 10, 40), (16, 0, 64, 64)),
        (CropWindow(10, -10, 40), (0, 16, 64, 64)),
        (CropWindow(50, 10, 40), (0, 0, 48, 64)),
        (CropWindow(10, 30, 40), (0, 0, 64, 48)),
        (CropWindow(-40, -50, 160), (16, 20, 48, 44)),
        (CropWindow(-3, 0, 48), (4, 0, 64, 64)),
        (CropWindow(-100, 10, 40), (64, 0, 64, 64)),
        (CropWindow(10, 100, 40), (0, 0, 64, 0)),
    ],
)
def test_the_real_part_of_a_crop(window, real):
    found = real_window(window, (80, 60), 64)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, real)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(windows, st.sampled_from([1, 16, 64, 100]))
def test_the_fill_is_the_same_every_time_and_of_any_window(window, size):
    image = noise(60, 80)
    crop = crop_image(image, window, size)
    assert crop.flags["C_CONTIGUOUS"] and crop.dtype == np.uint8
    np.testing.assert_array_equal(crop, crop_image(image.copy(), window, size))


@pytest.mark.parametrize("turn", range(4))
def test_the_fill_has_no_stripes(turn):
    # An edge of noise: repeated, it would be stripes as strong as the noise in every row.
    image = np.rot90(noise(200, 200), turn)
    beyond = [(0, -80), (-80, 0), (0, 80), (80, 0)][turn]
    filled = np.rot90(crop_image(image, CropWindow(*beyond, 200), 128), -turn).astype(float)
    fill, edge = filled[:51], filled[51]
    contrast = np.abs(np.diff(fill, axis=1)).mean(axis=(1, 2))
    assert contrast[:40].max() < 0.1 * np.abs(np.diff(edge, axis=0)).mean()
    assert all(np.abs(a - b).max() > 0 for a, b in pairwise(fill[30:]))
    assert np.abs(fill[:10] - edge.mean(axis=0)).max() <= 2  # far out it is one colour


def test_the_fill_begins_without_a_seam():
    y, x = np.mgrid[0:256, 0:256]
    wave = 128 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7)
    image = np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)
    crop = crop_image(image, CropWindow(-60, -60, 256), 256).astype(float)
    within = np.abs(np.diff(crop[60:, 60:], axis=0)).mean(axis=(1, 2)).max()
    for axis in (0, 1):
        steps = np.abs(np.diff(np.moveaxis(crop, axis, 0)[:, 60:], axis=0)).mean(axis=(1, 2))
        assert steps[55:65].max() <= within


@given(windows)
def test_corners_of_the_window_are_corners_of_the_crop(window):
    left, top, side = window
    corners = np.array([[left - 0.5, top - 0.5], [left + side - 0.5, top + side - 0.5]])
    np.testing.assert_allclose(to_crop(corners, window, 64), [[-0.5] * 2, [63.5] * 2], atol=1e-4)


def test_a_pixel_of_the_crop_is_where_its_coordinates_say():
    image = np.zeros((200, 200, 3), np.uint8)
    image[80:84, 120:124] = 255  # centre at (121.5, 81.5)
    window = CropWindow(100, 60, 64)
    crop = crop_image(image, window, 128)
    y, x = np.argwhere(crop[..., 0] > 128).mean(axis=0)
    np.testing.assert_allclose((x, y), to_crop(np.array([121.5, 81.5]), window, 128), atol=0.1)
    box = box_to_crop(np.array([120, 80, 124, 84]), window, 128)
    np.testing.assert_allclose(box, [40, 40, 48, 48])


def test_the_window_holds_the_face_and_room_above_it():
    left, top, side = crop_window(np.array([100, 100, 200, 200], np.float32), FaceSpec())
    assert left < 100 < 200 < left + side and top < 100 < 200 < top + side
    assert 100 - top > top + side - 200


@given(windows, st.integers(0, 30), st.integers(0, 30))
def test_a_window_within_a_region_shows_the_same_pixels(window, left, top):
    image = picture()
    region = left, top, 80, 60
    inner = image[top:60, left:80]
    if window.left >= left and window.top >= top:
        np.testing.assert_array_equal(
            crop_image(inner, window.within(region), 16), crop_image(image, window, 16)
        )
