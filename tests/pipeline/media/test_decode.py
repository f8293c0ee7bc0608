"""Decoded frames have the file's own times; none is missing, doubled or rotated."""

from __future__ import annotations

import subprocess

import av
import numpy as np
import pytest
from fixture_ffmpeg import binary
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import moving, write_video

from fsh.pipeline.media.clip_sound import read_sound
from fsh.pipeline.media.decode import proxy_size, read_proxy, read_region
from fsh.pipeline.media.probe import probe
from fsh.pipeline.media.regions import enclosing_region
from fsh.schemas.errors import FshError

_UNEVEN = "settb=1/1000,setpts='(N*40+12*mod(N*N,3))/1000/TB'"


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A video of variable frame rate."""
    path = tmp_path_factory.mktemp("video") / "uneven.mp4"
    options = ["-vf", _UNEVEN, "-fps_mode", "passthrough", "-enc_time_base", "1:1000"]
    return write_video(path, moving(2), options=options)


def reference(path):
    """(time, RGB) of every frame, by another library."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield float(frame.pts * frame.time_base), frame.to_ndarray(format="rgb24")


def test_times_are_those_of_the_file(uneven):
    times = [time for time, _ in reference(uneven)]
    assert len(set(np.diff(times).round(3))) > 1
    found = [frame.time for frame in read_proxy(uneven, (180, 160))]
    assert found == pytest.approx(times, abs=1e-9)


def test_a_region_after_a_seek_has_the_same_frames(uneven):
    frames = list(reference(uneven))
    start, end = frames[17][0], frames[31][0]
    found = list(read_region(uneven, (360, 320), (40, 20, 301, 320), start, end))
    assert [frame.time for frame in found] == pytest.approx([t for t, _ in frames[17:31]], abs=1e-9)
    for frame, (_, pixels) in zip(found, frames[17:31], strict=True):
        wanted = pixels[20:320, 40:301].astype(int)
        own = np.abs(frame.pixels.astype(int) - wanted).mean()
        assert own < 2  # two libraries convert colours a little differently
        # Neighbouring frames differ by more than that: the right frame was found.
        nearest = min(
            range(17, 31),
            key=lambda i: np.abs(frame.pixels.astype(int) - frames[i][1][20:320, 40:301]).mean(),
        )
        assert frames[nearest][0] == pytest.approx(frame.time, abs=1e-9)


@pytest.mark.parametrize("middle", [0.5, 0.84, 1.333])
def test_two_ranges_give_the_frames_of_the_whole(uneven, middle):
    whole = [frame.time for frame in read_proxy(uneven, (90, 80))]
    first = [frame.time for frame in read_proxy(uneven, (90, 80), 0, middle)]
    second = [frame.time for frame in read_proxy(uneven, (90, 80), middle, 99)]
    assert first + second == whole


def test_both_decodes_have_one_clock_if_the_file_starts_late(tmp_path):
    path = write_video(
        tmp_path / "late.ts", moving(1), options=["-muxdelay", "3", "-output_ts_offset", "5"]
    )
    times = [frame.time for frame in read_proxy(path, (90, 80))]
    assert times[0] == pytest.approx(0, abs=0.2)
    again = [f.time for f in read_region(path, (360, 320), (0, 0, 64, 64), times[5], times[9])]
    assert again == times[5:9]


def test_wide_pixels_and_rotation_are_shown_as_a_player_shows_them(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving(0.4), options=["-vf", "setsar=2"])
    assert (probe(path).width, probe(path).height) == (720, 320)
    turned = tmp_path / "b.mp4"
    command = [binary(), "-v", "error", "-display_rotation:v", "90", "-i", str(path)]
    subprocess.run([*command, "-c", "copy", str(turned)], check=True)
    facts = probe(turned)
    frame = next(read_region(turned, (facts.width, facts.height), (0, 0, facts.width, 100)))
    assert facts.height > facts.width
    assert frame.pixels.shape == (100, facts.width, 3)


def test_a_file_that_cannot_be_decoded_raises_with_the_reason(tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"nothing" * 100)
    with pytest.raises(FshError, match=r"broken\.mp4: cannot be decoded \(.+\)"):
        list(read_proxy(path, (90, 80)))


def test_no_process_is_left_when_reading_stops_early(uneven):
    frames = read_proxy(uneven, (90, 80))
    next(frames)
    frames.close()
    with pytest.raises(StopIteration):
        next(frames)


def test_sound_is_in_step_with_the_frames(tmp_path):
    path = tmp_path / "click.mp4"
    click = "aevalsrc='0.8*sin(2*PI*880*t)*between(t,1.2,1.3)':s=48000:d=2"
    command = [binary(), "-v", "error", "-f", "lavfi", "-i", "color=s=64x64:r=25:d=2"]
    subprocess.run([*command, "-f", "lavfi", "-i", click, "-shortest", str(path)], check=True)
    flac = read_sound(path, 1.0, 1.6)
    assert flac[:4] == b"fLaC"
    raw = subprocess.run(
        [binary(), "-v", "error", "-i", "-", "-ac", "1", "-f", "s16le", "-"],
        input=flac,
        capture_output=True,
        check=True,
    ).stdout
    loud = np.flatnonzero(np.abs(np.frombuffer(raw, np.int16)) > 3000)
    assert len(raw) / 2 / 48000 == pytest.approx(0.6, abs=0.01)
    assert loud[0] / 48000 == pytest.approx(0.2, abs=0.01)
    assert loud[-1] / 48000 == pytest.approx(0.3, abs=0.01)
    assert read_sound(path, 1.0, 1.6) == flac


def test_a_silent_video_has_no_sound(uneven):
    assert read_sound(uneven, 0, 1) == b""


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 4000), st.integers(2, 4000), st.integers(100, 720))
def test_proxies_are_even_and_never_larger(width, height, shorter):
    small = proxy_size(width, height, shorter)
    assert all(v % 2 == 0 and v >= 2 for v in small)
    assert small[0] <= width + 1 and small[1] <= height + 1
    assert min(small) <= shorter + 1


_square = st.tuples(st.integers(-400, 2000), st.integers(-400, 2000), st.integers(2, 900))


@settings(deadline=None, max_examples=50)
@given(st.lists(_square, min_size=1), st.integers(4, 2000), st.integers(4, 2000))
def test_the_enclosing_region_holds_all_windows(windows, width, height):
    left, top, right, bottom = enclosing_region(windows, (width, height))
    assert left % 2 == 0 and top % 2 == 0
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    for x, y, side in windows:
        for low, high, first, last, size in (
            (x, x + side, left, right, width),
            (y, y + side, top, bottom, height),
        ):
            assert first <= max(0, min(low, size - 2)) or low < 0
            assert last >= min(high, size)
