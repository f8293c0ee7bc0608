"""The landmark image: colours and groups of PAPER.md, and the same at every size."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import template

from fsh.schemas.faces.mesh import IRISES, mirrored_face
from fsh.schemas.faces.spec import FaceSpec
from fsh.trainer.data.landmark_images import (
    POLYLINES,
    draw_landmarks,
    irises_to_draw,
    rescale_landmarks,
)

GAZE = FaceSpec(backend="mediapipe", gaze=True)


def test_groups_and_colours_are_the_papers():
    colours = {color for *_, color in POLYLINES}
    assert colours == {
        *((255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)),
        *((255, 0, 255), (0, 255, 255), (255, 255, 0)),
    }
    covered = [i for span, *_ in POLYLINES for i in range(68)[span]]
    assert covered == list(range(60))  # the inner lip, 60 to 67, is not drawn
    assert POLYLINES[0][2] == (255, 255, 255) and POLYLINES[-1][0] == slice(48, 60)


def test_at_256_pixels_lines_are_two_pixels_wide_and_pure():
    points = np.zeros((68, 2), np.float32) - 1000
    points[:17] = np.stack([np.linspace(40, 200, 17), np.full(17, 100)], 1)
    image = draw_landmarks(points, 256)
    assert set(map(tuple, image.reshape(-1, 3))) == {(0, 0, 0), (255, 255, 255)}
    assert 2 <= (image[:, 120, 0] > 0).sum() <= 3  # OpenCV's thickness 2


@pytest.mark.parametrize("size", [64, 128, 256])
def test_every_group_shows_at_every_size(size):
    image = draw_landmarks(template() * size, size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    for *_, color in POLYLINES:
        bright = image.astype(int) @ (np.array(color) * 2 - 255)
        assert bright.max() > 255 * 100


def test_an_open_mouth_and_a_small_shift_are_visible_at_64_pixels():
    shut, opened = template() * 64, template() * 64
    opened[54:60, 1] += 3
    assert np.abs(draw_landmarks(shut, 64).astype(int) - draw_landmarks(opened, 64)).sum() > 1000
    assert (
        np.abs(draw_landmarks(shut, 64).astype(int) - draw_landmarks(shut + 0.3, 64)).sum() > 1000
    )


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_points_far_outside_do_not_crash(x, y):
    assert draw_landmarks(np.full((68, 2), (x, y), np.float32), 64).shape == (64, 64, 3)


@given(st.sampled_from([64, 128, 256, 512]), st.sampled_from([64, 128, 256]))
def test_rescale_goes_there_and_back(size, to):
    points = template() * size
    np.testing.assert_allclose(
        rescale_landmarks(rescale_landmarks(points, size, to), to, size), points, atol=1e-3
    )
    # The corner of the first pixel and of the last one stay corners.
    assert rescale_landmarks(np.float32([[-0.5, size - 0.5]]), size, to).tolist() == [
        [-0.5, to - 0.5]
    ]


def test_any_number_of_axes_is_drawn():
    points = np.stack([template() * 64, template() * 60])
    one = draw_landmarks(points[1], 64)
    assert np.array_equal(draw_landmarks(points, 64)[1], one)
    assert np.array_equal(draw_landmarks(points[:, None], 64)[1, 0], one)


@settings(deadline=None)
@given(
    size=st.sampled_from([32, 64, 128, 256, 512]),
    count=st.integers(0, 20),
    spread=st.floats(0.05, 0.7),
    seed=st.integers(0, 99),
)
def test_many_together_are_drawn_as_each_alone(size, count, spread, seed):
    """Whether all lie inside, where they are drawn in one call, or some reach over the edge."""
    random = np.random.default_rng(seed)
    faces = (size * (0.5 + spread * random.uniform(-1, 1, (count, 68, 2)))).astype(np.float32)
    alone = [draw_landmarks(face, size) for face in faces]
    together = draw_landmarks(faces, size, np.full((count, size, size, 3), 7, np.uint8))
    assert len(together) == count
    for one, same in zip(alone, together, strict=True):
        assert np.array_equal(one, same)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_irises_are_dots_that_show_where_the_eyes_look(size):
    face = (template() * size).astype(np.float32)
    eyes = np.stack([face[36:42].mean(0), face[42:48].mean(0)])
    plain, reach = draw_landmarks(face, size), max(3, 0.03 * size)
    ahead = draw_landmarks(face, size, irises=eyes)
    aside = draw_landmarks(face, size, irises=eyes + np.array([0.03 * size, 0]))
    assert np.array_equal(draw_landmarks(face, size, irises=None), plain)
    for drawn, shift in ((ahead, 0.0), (aside, 0.03 * size)):
        new = np.argwhere((drawn != plain).any(-1))[:, ::-1]
        # No pixel beside the two dots is another, and each is where its iris is.
        for n, eye in enumerate(eyes + np.array([shift, 0])):
            own = new[np.abs(new - eye).max(1) < reach]
            assert len(own) and np.abs(own.mean(0) - eye).max() < 1.5, n
        assert (np.abs(new[:, None] - eyes - [shift, 0]).max(2).min(1) < reach).all()
    together = draw_landmarks(np.stack([face, face]), size, irises=np.stack([eyes, eyes + 1]))
    assert np.array_equal(together[0], ahead) and not np.array_equal(together[1], ahead)


def test_a_mirrored_image_has_the_irises_of_the_mirrored_face():
    mesh = np.random.default_rng(0).uniform(60, 190, (478, 3)).astype(np.float32)
    face = (template() * 256).astype(np.float32).round()
    mesh[list(IRISES), :2] = np.array([[100, 110], [150, 112]])
    drawn = draw_landmarks(face, 256, irises=irises_to_draw(mesh, GAZE))
    flipped = mirrored_face(mesh, 256)
    other = draw_landmarks(mirrored_face(face, 256), 256, irises=irises_to_draw(flipped, GAZE))
    exchanged = drawn[:, ::-1][..., [1, 0, 2]]
    # OpenCV's even widths lean to one side by a pixel.
    near = cv2.dilate(exchanged, np.ones((3, 3), np.uint8))
    assert ((other > 0) <= (near > 0)).all()
    assert irises_to_draw(mesh, FaceSpec(backend="mediapipe")) is None
    assert irises_to_draw(None, GAZE) is None
