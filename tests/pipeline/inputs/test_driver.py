"""Drivers from videos, folders of pictures and stored tracks."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import dlib_landmarks
from PIL import Image
from videos import moving, write_video

from fsh.pipeline.inputs.driver import read_driver
from fsh.pipeline.inputs.landmark_track import read_track, save_track
from fsh.schemas.errors import FshError, SpecMismatch
from fsh.schemas.progress import Silent
from fsh.schemas.spec import FaceSpec

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
