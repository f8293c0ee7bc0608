"""Copies of photos: landmarks and pixels move together, a shut mouth opens on something dark."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from tiny_data import clip_of, template, template_mesh

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.mesh import landmarks_of_mesh
from fsh.schemas.faces.spec import FaceSpec
from fsh.trainer.person.expressions import expressions
from fsh.trainer.person.photo_augmentation import (
    expression_copies,
    moved_copies,
    random_expression,
    warp_face,
)
from fsh.trainer.person.training_set import copies_of_each

SPEC = FaceSpec(backend="dlib")
SHAPE = template() * SPEC.size


def dotted(points: np.ndarray) -> np.ndarray:
    """A gray picture with a bright spot at every landmark."""
    picture = np.full((SPEC.size, SPEC.size, 3), 90, np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(x * 16), round(y * 16)), 32, (250, 250, 250), -1, shift=4)
    return picture


def clip(count: int = 2) -> FaceClip:
    frames = np.stack([dotted(SHAPE)] * count)
    points = np.stack([SHAPE] * count).astype(np.float32)
    crops = np.zeros((count, 3), np.float32)
    return FaceClip("p", frames, points, np.arange(count, dtype=np.float64), crops, SPEC)


def clip_with_mesh() -> FaceClip:
    mesh = (template_mesh() * SPEC.size)[None].astype(np.float32)
    return dataclasses.replace(clip(1), mesh=mesh)


def test_meshes_of_copies_go_where_their_landmarks_go():
    copies = expression_copies(clip_with_mesh(), 4, seed=3)
    assert copies.mesh.shape == (4, 478, 3) and copies.mesh.dtype == np.float32
    away = np.linalg.norm(landmarks_of_mesh(copies.mesh) - copies.landmarks, axis=2)
    assert away.mean() < 0.3 and np.ptp(copies.mesh[:, 14, 1]) > 1
    assert np.array_equal(copies.mesh[..., 2], np.repeat(clip_with_mesh().mesh[..., 2], 4, axis=0))
    moved = moved_copies(clip_with_mesh(), 3, seed=1)
    np.testing.assert_allclose(landmarks_of_mesh(moved.mesh), moved.landmarks, atol=1e-3)
    flat, depth = np.ptp(moved.mesh[..., 1], axis=1), np.ptp(moved.mesh[..., 2], axis=1)
    assert np.corrcoef(flat, depth)[0, 1] > 0.8
    assert expression_copies(clip(1), 1, seed=3).mesh is None


def white_where_real(real: np.ndarray) -> FaceClip:
    left, top, right, bottom = real.astype(int)
    frame = np.zeros((SPEC.size, SPEC.size, 3), np.uint8)
    frame[top:bottom, left:right] = 255
    return dataclasses.replace(clip(1), frames=frame[None], real=real[None])


def test_what_is_real_of_a_copy_was_real_of_its_photo():
    size = SPEC.size
    real = np.array([size // 8, size // 4, size, size - 10], np.float32)
    photo = white_where_real(real)
    for copies in (moved_copies(photo, 8, seed=1), expression_copies(photo, 8, seed=3)):
        assert copies.real.shape == (8, 4) and copies.real.dtype == np.float32
        for frame, edges in zip(copies.frames, copies.real, strict=True):
            left, top = np.ceil(edges[:2]).astype(int) + 1
            right, bottom = np.floor(edges[2:]).astype(int) - 1
            assert (right - left) * (bottom - top) > 0.3 * size**2
            # Only a mouth that opens is less than white: 0.6 of it.
            assert frame[top:bottom, left:right].min() > 140
    assert np.array_equal(expression_copies(clip(1), 1, seed=3).real, [[0, 0, size, size]])
    moved = moved_copies(white_where_real(np.array([0, 0, size, size], np.float32)), 8, seed=1)
    assert (moved.real[:, 2:] - moved.real[:, :2] < size).any(axis=1).all()


@pytest.mark.parametrize("name", ["mouth half open", "smile", "brows up", "nodding"])
def test_pixels_go_where_their_landmarks_go(name):
    moved = next(e.landmarks for e in expressions(SHAPE) if e.name == name)
    made = warp_face(dotted(SHAPE), SHAPE, moved)
    at = np.rint(moved[:60]).astype(int)  # the inner lip's lie in what is dark
    assert (made[at[:, 1], at[:, 0]].mean(axis=1) > 180).mean() > 0.95


def test_a_face_that_stays_is_unchanged():
    picture = dotted(SHAPE)
    assert np.array_equal(warp_face(picture, SHAPE, SHAPE.copy()), picture)


def test_a_shut_mouth_opens_on_something_dark_and_an_open_one_keeps_its_inside():
    expression = expressions(SHAPE)[0]
    shut = SHAPE.copy()
    shut[65:68] = shut[[63, 62, 61]]  # lower onto upper
    opened = shut + (expression.landmarks - SHAPE)
    inside = np.rint(opened[[61, 62, 63, 65, 66, 67]].mean(axis=0)).astype(int)
    red = np.full((SPEC.size, SPEC.size, 3), (180, 40, 40), np.uint8)
    x, y = inside
    assert warp_face(red, shut, opened)[y, x].sum() < 0.75 * red[y, x].sum()
    wider = opened + (expression.landmarks - SHAPE) / 4
    assert np.abs(warp_face(red, opened, wider).astype(int) - red).max() <= 1


def test_copies_are_many_different_and_repeatable():
    one, two, other = (expression_copies(clip(), 3, seed) for seed in (3, 3, 4))
    assert one.frames.shape == (6, SPEC.size, SPEC.size, 3)
    assert np.array_equal(one.frames, two.frames) and np.array_equal(one.landmarks, two.landmarks)
    assert not np.array_equal(one.landmarks, other.landmarks)
    assert len({points.tobytes() for points in one.landmarks}) > 3


def test_turns_stay_small():
    steps = {e.name: e.landmarks - SHAPE for e in expressions(SHAPE)}
    far = np.abs(steps["turned left"]).max()
    turns = {name: step * name.startswith("turned") for name, step in steps.items()}
    random = np.random.default_rng(0)
    turned = [np.abs(random_expression(random, turns)).max() for _ in range(200)]
    assert 0.2 * far < max(turned) < 0.4 * far


@pytest.mark.parametrize(("photos", "copies"), [(1, 12), (2, 8), (8, 2), (16, 1), (32, 1)])
def test_few_photos_get_more_copies_each(photos, copies):
    assert copies_of_each(photos) == copies


def test_moved_copies_take_their_landmarks_along():
    photos = clip_of(7, 2)
    dots = np.zeros_like(photos.frames)
    points = np.full_like(photos.landmarks, 12.0)
    points[:, 0] = (15.0, 18.0)
    dots[:, 17:20, 14:17] = 255
    photos = dataclasses.replace(photos, frames=dots, landmarks=points)
    moved = moved_copies(photos, 3, seed=0)
    again = moved_copies(photos, 3, seed=0)
    assert len(moved) == 6 and (moved.frames == again.frames).all()
    assert len({tuple(p[0]) for p in moved.landmarks}) == 6
    for frame, landmarks in zip(moved.frames, moved.landmarks, strict=True):
        y, x = np.argwhere(frame[..., 0] > 128).mean(axis=0)
        assert np.hypot(*(landmarks[0] - (x, y))) < 0.8
