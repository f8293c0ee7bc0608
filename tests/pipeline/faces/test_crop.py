"""Crop windows: square, unstretched, edges repeated, coordinates that come back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.faces.crop import (
    CropWindow,
    box_to_crop,
    crop_image,
    crop_window,
    to_crop,
)
from fsh.schemas.spec import FaceSpec

windows = st.builds(CropWindow, st.integers(-60, 90), st.integers(-60, 90), st.integers(2, 120))


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 3, y * 4, (x + y)], axis=2).astype(np.uint8)


@given(windows, st.sampled_from([1, 16, 32]))
def test_a_crop_has_the_wanted_size_and_only_colours_of_the_picture(window, size):
    image = picture()
    crop = crop_image(np.full_like(image, 7), window, size)
    assert crop.shape == (size, size, 3) and (crop == 7).all()


@given(windows)
def test_an_unscaled_crop_repeats_the_edge(window):
    image = picture()
    left, top, side = window
    rows = np.clip(np.arange(top, top + side), 0, 59)
    columns = np.clip(np.arange(left, left + side), 0, 79)
    if columns[-1] > columns[0] or rows[-1] > rows[0]:
        np.testing.assert_array_equal(crop_image(image, window, side), image[rows][:, columns])


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
