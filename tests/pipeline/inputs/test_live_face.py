"""One face followed through frames that come one by one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faces_helpers import dlib_landmarks, face_landmarker, portrait, portrait_points

from fsh.pipeline.faces.crop import crop_window, to_crop
from fsh.pipeline.faces.detection import FaceDetector
from fsh.pipeline.faces.landmarks import face_box
from fsh.pipeline.faces.mediapipe_landmarks import MediaPipeLandmarks
from fsh.pipeline.inputs.live_face import FaceFollower, FollowingWindow
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.spec import FaceSpec

SPEC = FaceSpec()


def moved(x: float) -> np.ndarray:
    """The portrait in a frame of 640×480, x pixels to the right."""
    shift = np.float32([[1, 0, x], [0, 1, 0]])
    return cv2.warpAffine(portrait(), shift, (640, 480), borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(params=["mediapipe", "dlib"])
def backend(request):
    return (
        MediaPipeLandmarks(face_landmarker())
        if request.param == "mediapipe"
        else (dlib_landmarks())
    )


def test_a_face_is_followed_lost_and_found_again(backend):
    follower = FaceFollower(backend)
    for i in range(12):
        found = follower.next(moved(5 * i), i / 25)
        assert found.face is not None and len(found.face) == 1
        wanted = portrait_points() + np.array([5 * i, 0])
        assert np.linalg.norm(found.face.points[0] - wanted, axis=1).mean() < 5
    empty = np.full((480, 640, 3), 90, np.uint8)
    assert follower.next(empty, 2.0).face is None
    assert follower.next(moved(0), 2.05).face is None  # not searched for in every frame
    assert follower.next(moved(0), 2.5).face is not None


def test_a_known_mesh_is_not_searched_for(monkeypatch):
    searched = []
    run = FaceDetector.detect
    monkeypatch.setattr(FaceDetector, "detect", lambda *a, **k: searched.append(1) or run(*a, **k))
    follower = FaceFollower(MediaPipeLandmarks(face_landmarker()))
    times = [follower.next(moved(3 * i), i / 25) for i in range(10)]
    assert len(searched) == 1
    assert times[0].detecting > 0 and times[5].detecting == 0 < times[5].landmarking


def test_the_largest_face_is_followed():
    small = cv2.resize(portrait(), None, fx=0.7, fy=0.7)
    both = np.full((480, 960, 3), 120, np.uint8)
    both[100:458, :358] = small
    both[:480, 400:912] = portrait()[:480]
    found = FaceFollower(dlib_landmarks()).next(both, 0.0)
    assert found.face.points[0, :, 0].min() > 400


def face_at(x: float, scale: float = 1.0) -> FaceLandmarks:
    points = portrait_points() * scale + (x, 0)
    mesh = np.zeros((1, 478, 3), np.float32)
    mesh[0, :68, :2], mesh[0, :, 2] = points, 8 * scale
    return FaceLandmarks(points[None].astype(np.float32), mesh)


def test_the_window_is_that_of_films_and_stands_still_while_the_head_is_inside():
    window = FollowingWindow(SPEC)
    for i in range(10):
        placed = window.to_window(face_at(2.0 * i), i / 25)
        fixed = crop_window(face_box(portrait_points()), SPEC)
        wanted = to_crop(portrait_points() + np.array([2 * i, 0]), fixed, SPEC.size)
        np.testing.assert_allclose(placed.points[0], wanted, atol=0.01)
        np.testing.assert_allclose(placed.mesh[0, :68, :2], wanted, atol=0.01)
        np.testing.assert_allclose(placed.mesh[0, :, 2], 8 * SPEC.size / fixed.side, atol=0.01)


@pytest.mark.parametrize(("x", "scale"), [(260.0, 1.0), (0.0, 1.8), (0.0, 0.55)])
def test_the_window_follows_a_head_that_leaves_it_without_a_jump(x, scale):
    window, before, made = FollowingWindow(SPEC), face_at(0), []
    window.to_window(before, 0.0)
    for i in range(1, 70):
        made.append(window.to_window(face_at(x, scale), i / 25).points[0])
    fresh = FollowingWindow(SPEC).to_window(face_at(x, scale), 0.0).points[0]
    assert np.abs(made[-1] - fresh).max() < 10  # framed as if it had always been there
    assert np.abs(np.diff(made, axis=0)).max() < 60  # of 256: it sprang that far
    # And there it stands still again.
    np.testing.assert_allclose(made[-1], made[-5], atol=0.01)
