"""Drivers from videos, folders of pictures and stored tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faces_helpers import dlib_landmarks, face_landmarker
from PIL import Image
from videos import moving, write_video

from fsh.pipeline.faces.detection import FaceDetector
from fsh.pipeline.faces.mediapipe_landmarks import MediaPipeLandmarks
from fsh.pipeline.inputs.driver import read_driver
from fsh.pipeline.inputs.landmark_track import read_track, save_track
from fsh.schemas.errors import FshError, SpecMismatch
from fsh.schemas.faces.landmarks import found
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Silent

SPEC = FaceSpec()


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("talk") / "talk.mp4", moving(1.2))


@pytest.fixture(scope="module")
def driver(talk):
    return read_driver(talk, SPEC, dlib_landmarks(), Silent())


def test_a_folder_of_pictures_drives_as_its_video_does(driver, tmp_path):
    for number, picture in enumerate(moving(1.2)):
        Image.fromarray(picture).save(tmp_path / f"{number:04d}.png")
    again = read_driver(tmp_path, SPEC, dlib_landmarks(), Silent(), fps=25)
    np.testing.assert_allclose(again.times, driver.times, atol=1e-3)
    assert np.abs(again.landmarks - driver.landmarks).mean() < 1.5
    Image.fromarray(moving(0.04)[0][:200]).save(tmp_path / "9999.png")
    with pytest.raises(FshError, match="all of one size"):
        read_driver(tmp_path, SPEC, dlib_landmarks(), Silent())


def test_what_is_real_of_each_crop_is_known(driver):
    assert driver.real.shape == (len(driver.times), 4) and driver.real.dtype == np.float32
    for window, (left, top, right, bottom) in zip(driver.windows, driver.real, strict=True):
        assert (left > 0) == (window.left < 0) and (top > 0) == (window.top < 0)
        assert left < right <= SPEC.size and top < bottom <= SPEC.size


def test_a_saved_track_drives_as_the_video_did(driver, tmp_path):
    path = tmp_path / "track.npz"
    save_track(path, driver.landmarks, driver.times, SPEC)
    again = read_driver(path, SPEC, dlib_landmarks(), Silent())
    np.testing.assert_array_equal(again.landmarks, driver.landmarks)
    np.testing.assert_array_equal(again.times, driver.times)
    assert again.windows == [] and again.frames is None
    with pytest.raises(SpecMismatch):
        read_track(path, FaceSpec(size=128), 25.0)


def test_every_frame_is_handed_over_in_order(talk, driver):
    handed = []
    again = read_driver(
        talk,
        SPEC,
        dlib_landmarks(),
        Silent(),
        keep_frames=True,
        on_frame=lambda number, time, crop: handed.append((number, time, crop)),
    )
    assert [number for number, *_ in handed] == list(range(len(driver.times)))
    assert [time for _, time, _ in handed] == driver.times.tolist()
    assert again.frames is not None
    assert all((crop == again.frames[number]).all() for number, _, crop in handed)
    np.testing.assert_array_equal(again.landmarks, driver.landmarks)


BLACK = np.zeros_like(moving(0.04)[0])


def faceless(path, backend="dlib") -> list[int]:
    landmarks = dlib_landmarks()
    if backend == "mediapipe":
        landmarks = MediaPipeLandmarks(face_landmarker())
    driver = read_driver(path, replace(SPEC, backend=backend), landmarks, Silent())
    return np.flatnonzero(~found(driver.landmarks)).tolist()


@pytest.mark.parametrize(
    ("before", "shown", "between", "again", "backend"),
    [
        (30, 30, 0, 0, "dlib"),
        (0, 26, 5, 26, "dlib"),
        (0, 26, 14, 0, "dlib"),
        (0, 26, 5, 26, "mediapipe"),
    ],
)
def test_exactly_the_frames_without_a_face_have_none(
    tmp_path, before, shown, between, again, backend
):
    faces = moving((shown + again) / 25)
    frames = [BLACK] * before + faces[:shown] + [BLACK] * between + faces[shown:]
    empty = [i for i, frame in enumerate(frames) if not frame.any()]
    assert faceless(write_video(tmp_path / "d.mp4", frames), backend) == empty


def test_a_face_that_comes_late_in_a_variable_rate(tmp_path):
    frames = [BLACK] * 36 + moving(1, fps=30)
    uneven = "settb=1/1000,setpts='(N*33+12*mod(N*N,3))/1000/TB'"
    options = ["-vf", uneven, "-fps_mode", "passthrough", "-enc_time_base", "1:1000"]
    path = write_video(tmp_path / "d.mp4", frames, fps=30, options=options)
    assert faceless(path) == list(range(36))


def test_a_turned_face_that_the_detector_misses_is_not_called_gone(tmp_path, monkeypatch):
    path, detect = write_video(tmp_path / "d.mp4", moving(1.6)), FaceDetector.detect
    calls = []

    def misses(self, image):
        calls.append(len(calls))
        return [] if 5 <= calls[-1] < 9 else detect(self, image)

    monkeypatch.setattr(FaceDetector, "detect", misses)
    assert faceless(path) == []
