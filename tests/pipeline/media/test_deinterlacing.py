"""Interlaced video has whole pictures, whatever says that it is interlaced, and however turned."""

from __future__ import annotations

import av
import numpy as np
import pytest
from interlaced import CODED, combed, record, turned

from fsh.pipeline.media.decode import read_proxy, read_region


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


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_what_is_turned_is_made_whole_along_the_rows_that_were_coded(tmp_path, degrees):
    path = record(tmp_path / "camera.mp4")
    size = (320, 240) if degrees == 180 else (240, 320)
    upright = [f.pixels[:240] for f in read_proxy(path, (320, 240))]
    found = [f.pixels[: size[1]] for f in read_proxy(turned(path, degrees), size)]
    wanted = [np.rot90(luma, degrees // 90) for luma in upright]
    np.testing.assert_array_equal(found, wanted)
