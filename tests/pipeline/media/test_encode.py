"""Written videos: every frame at its own time, sound in step."""

from __future__ import annotations

import subprocess

import av
import numpy as np
import pytest
from fixture_ffmpeg import binary

from fsh.pipeline.media.encode import write_video
from fsh.schemas.errors import FshError


def frames(count: int, size: int = 32):
    for i in range(count):
        yield np.full((size, size + 1, 3), 10 * i % 255, np.uint8)


def clock(path, kind: str) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.array([f.pts * f.time_base for f in file.decode(**{kind: 0})], np.float64)


@pytest.mark.parametrize("rate", [24, 25, 30000 / 1001, 60])
def test_a_constant_rate_is_exact(tmp_path, rate):
    times = np.arange(20) / rate
    assert write_video(tmp_path / "o.mp4", frames(20), times) == 20
    np.testing.assert_allclose(clock(tmp_path / "o.mp4", "video"), times, atol=2e-5)


def test_a_variable_rate_is_kept(tmp_path):
    times = 0.2 + np.cumsum(np.random.default_rng(0).uniform(0.02, 0.09, 25))
    write_video(tmp_path / "o.mp4", frames(25), times)
    np.testing.assert_allclose(clock(tmp_path / "o.mp4", "video"), times, atol=2e-5)


@pytest.mark.parametrize(("codec", "name"), [("aac", "a.mp4"), ("libvorbis", "a.mkv")])
def test_sound_keeps_its_place_and_length(tmp_path, codec, name):
    source = tmp_path / name
    make = f"-v error -f lavfi -i testsrc=s=64x64:r=25:d=2 -f lavfi -i sine=d=2 -c:a {codec}"
    subprocess.run([binary(), *make.split(), str(source)], check=True)
    times = clock(source, "video")
    write_video(tmp_path / "o.mp4", frames(len(times)), times, sound_of=source)
    before, after = clock(source, "audio"), clock(tmp_path / "o.mp4", "audio")
    assert abs(before[0] - after[0]) < 0.03 and abs(before[-1] - after[-1]) < 0.06


def test_a_wrong_number_of_frames_leaves_no_file(tmp_path):
    for count in (3, 5):
        with pytest.raises(FshError, match="frames"):
            write_video(tmp_path / "o.mp4", frames(count), np.arange(4) / 25)
    assert not list(tmp_path.iterdir())
