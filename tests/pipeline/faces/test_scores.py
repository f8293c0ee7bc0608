"""Track scores on pictures and landmarks whose scores are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faces_helpers import portrait, portrait_points
from tiny_data import template_mesh

from fsh.pipeline.faces.crop import crop_image, crop_window, to_crop
from fsh.pipeline.faces.landmarks import face_box
from fsh.pipeline.faces.pose import head_poses
from fsh.pipeline.faces.scores import (
    brightness,
    contrast,
    face_mask,
    frame_difference,
    identity_consistency,
    luma,
    score_track,
    sharpness,
)
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import mouth_opening
from fsh.schemas.faces.mesh import eye_openings, gaze
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.tables.columns import CLIPS

SIZE = 256


def portrait_crop() -> tuple[np.ndarray, np.ndarray]:
    spec = FaceSpec()
    window = crop_window(face_box(portrait_points()), spec)
    return crop_image(portrait(), window, spec.size), to_crop(portrait_points(), window, spec.size)


def test_blur_costs_sharpness_and_nothing_else():
    frame, points = portrait_crop()
    mask = face_mask(points, SIZE)
    sharp, soft = luma(frame), luma(cv2.GaussianBlur(frame, (0, 0), 3))
    assert sharpness(sharp, mask) > 5 * sharpness(soft, mask) > 0
    assert brightness(soft, mask) == pytest.approx(brightness(sharp, mask), abs=0.02)


def test_pixels_outside_the_face_do_not_count():
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
    _, points = portrait_crop()
    far = points + 10_000
    assert not face_mask(far, SIZE).any()


def test_a_repeated_picture_has_no_frame_difference():
    rng = np.random.default_rng(0)
    still = np.repeat(rng.integers(0, 255, (1, 16, 16), np.uint8), 5, axis=0)
    assert frame_difference(still) == 0
    flicker = np.array([np.zeros((4, 4)), np.full((4, 4), 255), np.zeros((4, 4))], np.uint8)
    assert frame_difference(flicker) == 1
    assert np.isnan(frame_difference(still[:1]))


def test_identity_consistency_is_that_of_the_worst_pair():
    one, other = np.eye(128, dtype=np.float32)[:2]
    assert identity_consistency(np.stack([one, 3 * one])) == pytest.approx(1)
    assert identity_consistency(np.stack([one, one, (one + other) / 2])) == pytest.approx(
        2**-0.5, abs=1e-6
    )
    assert np.isnan(identity_consistency(one[None]))


def test_scores_have_the_names_of_the_tables_columns():
    frame, points = portrait_crop()
    frames = np.stack([frame, frame, cv2.GaussianBlur(frame, (0, 0), 1)])
    landmarks = np.stack([points, np.full_like(points, np.nan), points + 1])
    landmarks[2, 61:64, 1] -= 10  # the upper lip
    scores = score_track(frames, FaceLandmarks(landmarks), np.ones((2, 128), np.float32))
    assert set(scores) <= set(CLIPS.names) and len(scores) == 10
    assert all(isinstance(value, float) and np.isfinite(value) for value in scores.values())
    assert 0.2 < scores["brightness"] < 0.8 and 0 < scores["frame_difference"] < 0.1
    assert scores["mouth_motion"] > 0.01 and scores["identity_consistency"] == pytest.approx(1)


def test_a_mesh_gives_further_scores_and_the_pose():
    frame, points = portrait_crop()
    mesh = (template_mesh() * 256)[None].repeat(2, axis=0)
    mesh[1] = np.nan
    faces = FaceLandmarks(np.stack([points, np.full_like(points, np.nan)]), mesh)
    scores = score_track(np.stack([frame, frame]), faces)
    more = {"mouth_opening", "eye_opening", "eyes_shut", "gaze_x", "gaze_y"}
    assert more <= set(scores) <= set(CLIPS.names)
    assert scores["eye_opening"] == pytest.approx(eye_openings(mesh[:1]).mean())
    assert (scores["gaze_x"], scores["gaze_y"]) == pytest.approx(gaze(mesh[:1])[0].tolist())
    yaw, pitch, roll = head_poses(points[None], 256, mesh[:1])[0]
    assert (scores["yaw"], scores["pitch"], scores["roll"]) == pytest.approx((yaw, pitch, roll))
    assert scores["mouth_opening"] == pytest.approx(mouth_opening(points[None])[0])


def test_a_track_without_landmarks_or_embeddings_scores_nan():
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    scores = score_track(frames, FaceLandmarks(np.full((1, 68, 2), np.nan, np.float32)))
    assert all(np.isnan(value) for value in scores.values())
