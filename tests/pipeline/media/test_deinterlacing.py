"""Interlaced video has whole pictures, whatever says that it is interlaced, and however turned."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from fixture_ffmpeg import binary
from interlaced import CODED, MOVES, combed, record, turned

from fsh.pipeline.media.decode import read_proxy, read_region
from fsh.pipeline.media.one_clock import with_one_clock


@pytest.mark.parametrize("name", CODED)
def test_interlaced_video_has_whole_pictures(tmp_path, name):
    path = record(tmp_path / name)
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
    raw = [frame.to_ndarray(format="gray") for frame in frames]
    whole = list(read_proxy(path, (320, 240)))
    begin = frames[0].time
    assert [f.time for f in whole] == pytest.approx([f.time - begin for f in frames], abs=1e-4)
    middle = slice(10, 40)
    assert np.median([combed(luma) for luma in raw[middle]]) > 4
    assert np.median([combed(frame.pixels[:240]) for frame in whole[middle]]) < 1
    (region,) = read_region(path, (320, 240), (0, 0, 320, 240), whole[20].time, 0.81)
    assert region.time == pytest.approx(whole[20].time, abs=1e-6)
    assert combed(region.pixels[..., 1]) < 1


def becomes_interlaced(folder: Path) -> Path:
    """Two seconds without combs and two with, as programmes on air are; of a file that was joined.

    What it begins with says nothing of what follows.
    """
    parts = []
    for name, filters, flags in (
        ("a.ts", "framestep=2", ()),
        ("b.ts", "interlace=scan=tff", ("-flags", "+ilme+ildct", "-x264-params", "tff=1")),
    ):
        graph = f"{MOVES},{filters},format=yuv420p"
        made = ["-f", "lavfi", "-i", graph, "-c:v", "libx264", "-bf", "0", "-g", "10", *flags]
        subprocess.run([binary(), "-v", "error", *made, str(folder / name)], check=True)
        parts.append((folder / name).read_bytes())
    (folder / "joined.ts").write_bytes(b"".join(parts))
    path, facts = with_one_clock(folder / "joined.ts")
    assert facts.frames == 100
    return path


def test_what_becomes_interlaced_later_is_whole_from_there_on(tmp_path):
    path = becomes_interlaced(tmp_path)
    whole = list(read_proxy(path, (320, 240)))
    assert len(whole) == 100
    with av.open(str(path)) as file:
        raw = [frame.to_ndarray()[:240] for frame in file.decode(video=0)]
    begins = 50
    for frame, luma in zip(whole[:begins], raw[:begins], strict=True):
        np.testing.assert_array_equal(frame.pixels[:240], luma)
    middle = slice(begins + 5, 95)
    assert np.median([combed(luma) for luma in raw[middle]]) > 4
    assert np.median([combed(frame.pixels[:240]) for frame in whole[middle]]) < 1
    for place in (20, begins - 1, begins, begins + 1, 80):
        again = list(read_proxy(path, (320, 240), whole[place].time))
        assert [frame.time for frame in again] == [frame.time for frame in whole[place:]]
        for one, same in zip(again, whole[place:], strict=True):
            np.testing.assert_array_equal(one.pixels, same.pixels)
    start, end = whole[80].time, whole[81].time - 0.01
    (region,) = read_region(path, (320, 240), (0, 0, 320, 240), start, end)
    assert combed(region.pixels[..., 1]) < 1


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_what_is_turned_is_made_whole_along_the_rows_that_were_coded(tmp_path, degrees):
    path = record(tmp_path / "camera.mp4")
    size = (320, 240) if degrees == 180 else (240, 320)
    upright = [f.pixels[:240] for f in read_proxy(path, (320, 240))]
    found = [f.pixels[: size[1]] for f in read_proxy(turned(path, degrees), size)]
    wanted = [np.rot90(luma, degrees // 90) for luma in upright]
    np.testing.assert_array_equal(found, wanted)


def test_what_is_turned_and_becomes_interlaced_later_is_made_whole_along_those_rows(tmp_path):
    path, copy = becomes_interlaced(tmp_path), tmp_path / "turned.mp4"
    command = [binary(), "-v", "error", "-display_rotation:v", "90", "-i", str(path)]
    subprocess.run([*command, "-c", "copy", str(copy)], check=True)
    upright = [frame.pixels[:240] for frame in read_proxy(path, (320, 240))]
    found = [frame.pixels[:320] for frame in read_proxy(copy, (240, 320))]
    np.testing.assert_array_equal(found, [np.rot90(luma) for luma in upright])
