"""Track scores on pictures and points whose answers are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faces_helpers import portrait, portrait_points
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.faces.crop import cut, to_crop, window_of
from fsh.pipeline.faces.landmarks import face_box
from fsh.pipeline.faces.scores import (
    WHOLE,
    angles,
    brightness,
    camera,
    contrast,
    face_mask,
    frame_difference,
    head_pose,
    identity_consistency,
    luma,
    mouth_opening,
    rotation,
    score_track,
    sharpness,
)
from fsh.schemas.spec import FaceSpec
from fsh.schemas.tables import CLIPS

SIZE = 256


def head_at(yaw: float, pitch: float, roll: float, size: int = SIZE) -> np.ndarray:
    """(68, 2) landmarks of the generic head turned that way; the points it lacks are zero."""
    model = np.array([*WHOLE.values()], float)
    seen = (model @ rotation(yaw, pitch, roll).T + (20, -40, 1500)) @ camera(size).T
    points = np.zeros((68, 2), np.float32)
    points[list(WHOLE)] = seen[:, :2] / seen[:, 2:]
    return points


@given(st.floats(-60, 60), st.floats(-45, 45), st.floats(-60, 60))
def test_the_pose_of_a_projected_head_comes_back(yaw, pitch, roll):
    assert np.allclose(angles(rotation(yaw, pitch, roll)), (yaw, pitch, roll), atol=1e-6)
    assert np.allclose(head_pose(head_at(yaw, pitch, roll), SIZE), (yaw, pitch, roll), atol=0.1)


def test_the_signs_of_a_pose():
    straight = head_at(0, 0, 0)
    nose, eyes = 30, (36, 45)
    # positive yaw: the nose points to the picture's right
    assert head_at(30, 0, 0)[nose, 0] > straight[nose, 0] + 5
    # positive pitch: looking down
    assert head_at(0, 20, 0)[nose, 1] > straight[nose, 1] + 5
    # positive roll: clockwise, so the eye on the right sinks below the one on the left
    tilted = head_at(0, 0, 20)[list(eyes)]
    assert tilted[1, 1] > tilted[0, 1] + 5


def test_no_pose_without_landmarks():
    assert np.isnan(head_pose(np.full((68, 2), np.nan, np.float32), SIZE)).all()


def test_the_portrait_looks_nearly_straight_ahead():
    yaw, pitch, roll = head_pose(portrait_points(), 512)
    assert abs(yaw) < 15 and abs(pitch) < 15 and abs(roll) < 15
    mirrored = head_pose(head_at(-yaw, pitch, -roll), SIZE)
    assert np.allclose(mirrored, (-yaw, pitch, -roll), atol=0.1)


def portrait_crop() -> tuple[np.ndarray, np.ndarray]:
    spec = FaceSpec()
    window = window_of(face_box(portrait_points()), spec)
    return cut(portrait(), window, spec.size), to_crop(portrait_points(), window, spec.size)


def test_blur_costs_sharpness_and_nothing_else():
    frame, points = portrait_crop()
    mask = face_mask(points, SIZE)
    sharp, soft = luma(frame), luma(cv2.GaussianBlur(frame, (0, 0), 3))
    assert sharpness(sharp, mask) > 5 * sharpness(soft, mask) > 0
    assert brightness(soft, mask) == pytest.approx(brightness(sharp, mask), abs=0.02)


def test_only_the_face_counts():
    frame, points = portrait_crop()
    mask = face_mask(points, SIZE)
    assert 0.1 < mask.mean() < 0.4
    noisy = luma(frame)
    before = [f(noisy, mask) for f in (brightness, contrast)]
    noisy = np.where(mask, noisy, 255).astype(np.uint8)
    assert [f(noisy, mask) for f in (brightness, contrast)] == before


def test_known_brightness_and_contrast():
    mask = np.ones((8, 8), bool)
    flat = np.full((8, 8), 51, np.uint8)
    assert (brightness(flat, mask), contrast(flat, mask), sharpness(flat, mask)) == (0.2, 0, 0)
    halves = np.repeat([0, 255], 32).reshape(8, 8).astype(np.uint8)
    assert (brightness(halves, mask), contrast(halves, mask)) == (0.5, 0.5)
    assert np.isnan(brightness(flat, ~mask))


def test_landmarks_outside_the_crop_leave_an_empty_face():
    far = head_at(0, 0, 0) + 10_000
    assert not face_mask(far, SIZE).any()


def test_an_opening_mouth():
    points = np.zeros((3, 68, 2))
    points[:, 54, 0] = 40
    for step, gap in enumerate((0, 8, 20)):
        points[step, [65, 66, 67], 1] = gap
    assert mouth_opening(points).tolist() == pytest.approx([0, 0.2, 0.5])
    assert np.isfinite(mouth_opening(np.zeros((1, 68, 2)))).all()


def test_a_photograph_is_still():
    rng = np.random.default_rng(0)
    photograph = np.repeat(rng.integers(0, 255, (1, 16, 16), np.uint8), 5, axis=0)
    assert frame_difference(photograph) == 0
    flicker = np.array([np.zeros((4, 4)), np.full((4, 4), 255), np.zeros((4, 4))], np.uint8)
    assert frame_difference(flicker) == 1
    assert np.isnan(frame_difference(photograph[:1]))


def test_purity_is_the_worst_pair():
    one, other = np.eye(128, dtype=np.float32)[:2]
    assert identity_consistency(np.stack([one, 3 * one])) == pytest.approx(1)
    assert identity_consistency(np.stack([one, one, (one + other) / 2])) == pytest.approx(
        2**-0.5, abs=1e-6
    )
    assert np.isnan(identity_consistency(one[None]))


def test_a_track_is_scored_under_the_tables_own_names():
    frame, points = portrait_crop()
    frames = np.stack([frame, frame, cv2.GaussianBlur(frame, (0, 0), 1)])
    landmarks = np.stack([points, np.full_like(points, np.nan), points + 1])
    landmarks[2, 61:64, 1] -= 10
    scores = score_track(frames, landmarks, np.ones((2, 128), np.float32))
    assert set(scores) <= set(CLIPS.names) and len(scores) == 10
    assert all(isinstance(value, float) and np.isfinite(value) for value in scores.values())
    assert 0.2 < scores["brightness"] < 0.8 and 0 < scores["frame_difference"] < 0.1
    assert scores["mouth_motion"] > 0.01 and scores["identity_consistency"] == pytest.approx(1)


def test_a_track_without_landmarks_or_embeddings_scores_nan():
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    scores = score_track(frames, np.full((1, 68, 2), np.nan, np.float32))
    assert all(np.isnan(value) for value in scores.values())
