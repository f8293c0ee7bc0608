"""Drivers of every kind, their flaws told, and a video's frames as photos."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import Told, dlib_landmarks, portrait_points
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from videos import moving, write_video

from fsh.pipeline.inputs.driver import read_driver
from fsh.pipeline.inputs.landmark_track import (
    framed,
    longest_run,
    preflight,
    read_track,
    save_track,
)
from fsh.pipeline.inputs.photos import prepare_photos
from fsh.pipeline.inputs.video_stills import spread, stills_of
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


def swaying(count: int = 30) -> np.ndarray:
    steps = np.sin(np.arange(count) / 5)[:, None, None] * [8.0, 0.0]
    return (portrait_points()[None] + steps).astype(np.float32)


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


@settings(deadline=None)
@given(st.floats(0.001, 100), st.floats(-5000, 5000), st.integers(2, 120))
def test_a_plain_array_drives_in_any_unit(scale, shift, fps):
    points = swaying(6)
    there = framed(points.astype(np.float64), SPEC)
    again = framed(points.astype(np.float64) * scale + shift * scale, SPEC)
    np.testing.assert_allclose(again, there, atol=0.7)  # windows are whole pixels
    assert abs(np.nanmedian(there[:, 30, 0]) - 128) < 30


def test_a_plain_array_has_the_rate_it_is_given(tmp_path):
    points = swaying(5)
    points[2] = np.nan
    np.save(tmp_path / "t.npy", points)
    times, found = read_track(tmp_path / "t.npy", SPEC, 50.0)
    np.testing.assert_allclose(times, np.arange(5) / 50)
    assert np.isnan(found[2]).all() and np.isfinite(found[[0, 1, 3, 4]]).all()


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((3, 5, 2)),
        np.zeros((3, 68, 3)),
        np.full((3, 68, 2), "x"),
        np.full((2, 68, 2), np.nan),
        np.array([{"a": 1}], object),
    ],
)
def test_what_is_no_track_is_refused_by_name(tmp_path, bad):
    np.save(tmp_path / "t.npy", bad, allow_pickle=True)
    with pytest.raises(FshError, match=r"t\.npy"):
        read_track(tmp_path / "t.npy", SPEC, 25.0)


def test_broken_and_foreign_files_are_no_tracks(tmp_path):
    path = tmp_path / "t.npz"
    with pytest.raises(FshError, match="no such file"):
        read_track(path, SPEC, 25.0)
    for content in (b"", b"PK\3\4 cut short", b"hello"):
        path.write_bytes(content)
        with pytest.raises(FshError, match="not a track"):
            read_track(path, SPEC, 25.0)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(FshError, match="not a track"):
        read_track(path, SPEC, 25.0)
    save_track(path, swaying(3), np.array([0.0, 0.2, 0.1]), SPEC)
    with pytest.raises(FshError, match="increase"):
        read_track(path, SPEC, 25.0)
    with pytest.raises(FshError, match=r"\.npz or \.npy"):
        save_track(tmp_path / "t.txt", swaying(3), np.arange(3.0), SPEC)


def test_a_calm_driver_has_nothing_to_tell():
    calm = preflight(swaying(), 512)
    assert (calm.frames, calm.lost, calm.longest_gap) == (30, 0, 0)
    assert calm.shake < 0.01 and calm.turned == 0


def test_a_difficult_driver_is_told_about():
    points = swaying()
    points[3:7] = points[20] = np.nan
    points += np.random.default_rng(0).normal(0, 10, (30, 1, 2)).astype(np.float32)
    points[0, 55:60, 1] += 40
    points[0, 65:68, 1] += 40
    flaws = preflight(points, 512)
    assert (flaws.lost, flaws.longest_gap) == (5, 4) and "mouth open" in flaws.start
    told = " ".join(flaws.warnings())
    assert all(word in told for word in ("no face in 5 of 30", "shakes", "not neutral"))


@given(st.lists(st.booleans(), max_size=30))
def test_longest_run(flags):
    runs = "".join("x" if f else " " for f in flags).split()
    assert longest_run(np.array(flags, bool)) == max(map(len, runs), default=0)


def test_frames_are_chosen_sharp_and_unlike_each_other():
    poses = np.zeros((10, 5))
    poses[:, 0] = [0, 1, 2, 0, 20, 1, -20, 0, 80, 0]  # degrees of yaw
    poses[7, 2] = 0.3  # an open mouth
    sharp = np.ones(10)
    sharp[4] = 0.1
    chosen = spread(poses, sharp, 3)
    assert len(set(chosen)) == 3 and {6, 7} <= set(chosen)
    assert 4 not in chosen and 8 not in chosen
    assert len(spread(poses, sharp, 50)) == 8


def test_a_video_serves_as_photos(talk, tmp_path):
    told = Told()
    stills = stills_of(talk, SPEC, dlib_landmarks(), told, count=3)
    assert len(stills) == 3 and [s.time for s in stills] == sorted(s.time for s in stills)
    clip, rejected = prepare_photos([talk], SPEC, backend=dlib_landmarks(), progress=told, face=1)
    assert not rejected and clip.name == "talk.mp4" and 2 <= len(clip) <= 8
    assert clip.embedding is not None and clip.found.all()
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    Image.fromarray(moving(0.04)[0]).save(tmp_path / "a.png")
    clip, rejected = prepare_photos(
        [tmp_path / "a.png", tmp_path / "broken.mp4"],
        SPEC,
        backend=dlib_landmarks(),
        progress=told,
    )
    assert len(clip) == 1 and rejected[0].path.name == "broken.mp4"
