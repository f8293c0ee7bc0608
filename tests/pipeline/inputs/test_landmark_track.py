"""Stored tracks of landmarks: what is read, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import swaying_points
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.pipeline.inputs.landmark_track import place_in_crop, read_track, save_track
from fsh.schemas.errors import FshError
from fsh.schemas.faces.landmarks import NOSE_TIP
from fsh.schemas.faces.spec import FaceSpec

SPEC = FaceSpec()


@settings(deadline=None)
@given(st.floats(0.001, 100), st.floats(-5000, 5000), st.integers(2, 120))
def test_a_plain_array_drives_in_any_unit(scale, shift, fps):
    points = swaying_points(6)
    there = place_in_crop(points.astype(np.float64), SPEC)
    again = place_in_crop(points.astype(np.float64) * scale + shift * scale, SPEC)
    np.testing.assert_allclose(again, there, atol=0.7)  # windows are whole pixels
    assert abs(np.nanmedian(there[:, NOSE_TIP, 0]) - 128) < 30


def test_a_plain_array_has_the_rate_it_is_given(tmp_path):
    points = swaying_points(5)
    points[2] = np.nan
    np.save(tmp_path / "t.npy", points)
    track = read_track(tmp_path / "t.npy", SPEC, 50.0)
    times, found = track.times, track.landmarks
    assert track.mesh is None
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
def test_files_that_are_no_track_are_refused_by_name(tmp_path, bad):
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
    save_track(path, swaying_points(3), np.array([0.0, 0.2, 0.1]), SPEC)
    with pytest.raises(FshError, match="increase"):
        read_track(path, SPEC, 25.0)
    with pytest.raises(FshError, match=r"\.npz or \.npy"):
        save_track(tmp_path / "t.txt", swaying_points(3), np.arange(3.0), SPEC)


def test_a_track_keeps_its_mesh(tmp_path):
    points, times = swaying_points(3), np.arange(3.0)
    points[1] = np.nan
    mesh = np.random.default_rng(0).random((3, 478, 3), np.float32)
    save_track(tmp_path / "t.npz", points, times, SPEC, mesh)
    track = read_track(tmp_path / "t.npz", SPEC, 25.0)
    assert np.array_equal(track.mesh[[0, 2]], mesh[[0, 2]]) and np.isnan(track.mesh[1]).all()
    save_track(tmp_path / "t.npz", points, times, SPEC, mesh[:2])
    with pytest.raises(FshError, match=r"mesh is float32 \(2, 478, 3\)"):
        read_track(tmp_path / "t.npz", SPEC, 25.0)
