"""Pictures that move serve as videos; those that do not get the remedy."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fsh.pipeline.media.animated_pictures import is_animated, is_moving
from fsh.pipeline.media.footage import open_footage
from fsh.pipeline.media.media_kind import VIDEO, media_kind
from fsh.schemas.errors import FshError

FRAMES = [Image.fromarray(np.full((64, 96, 3), 40 * i + 20, np.uint8)) for i in range(5)]
DURATIONS = [40, 80, 120, 40, 200]


def save(path, count: int = 5):
    first, *others = FRAMES[:count]
    more = {"save_all": True, "append_images": others, "duration": DURATIONS[:count], "loop": 0}
    first.save(path, **({"lossless": True} if path.suffix == ".webp" else {}), **more)
    return path


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animated_picture_is_footage_with_its_own_times(tmp_path, kind):
    path = save(tmp_path / f"a.{kind}").rename(tmp_path / "named.mp4")
    assert is_moving(path) and is_animated(path)
    footage = open_footage(path, fps=25.0)
    assert (footage.size, footage.expected) == ((96, 64), 5)
    for _ in range(2):  # it is read more than once
        whole = list(footage.region((0, 0, 96, 64)))
        times = np.array([frame.time for frame in whole])
        np.testing.assert_allclose(times, np.cumsum([0, *DURATIONS[:-1]]) / 1000, atol=1e-6)
        values = [frame.pixels.mean() for frame in whole]
        np.testing.assert_allclose(values, [40 * i + 20 for i in range(5)], atol=3)
    proxy = next(footage.proxy((48, 32))).pixels
    assert proxy.shape == (48, 48) and proxy.dtype == np.uint8


def test_what_is_clear_is_on_white(tmp_path):
    clear = [Image.new("RGBA", (64, 64), (0, 0, 0, 0)), Image.new("RGBA", (64, 64), (0, 0, 0, 255))]
    clear[0].save(tmp_path / "a.webp", save_all=True, append_images=clear[1:], lossless=True)
    footage = open_footage(tmp_path / "a.webp", 25.0)
    values = [frame.pixels.mean() for frame in footage.region((0, 0, 64, 64))]
    assert values == [255, 0]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.jpg", "a.bmp", "a.tif", "a.mp4"])
def test_a_single_picture_does_not_drive_whatever_it_is_called(tmp_path, name):
    path = tmp_path / name
    FRAMES[0].save(path, format="PNG" if name == "a.mp4" else None)
    assert not is_moving(path)
    with pytest.raises(FshError, match="a single picture, in which nothing moves → give a video"):
        open_footage(path, 25.0)


@pytest.mark.parametrize(("first", "length"), [(0, 188), (4, 192), (0, 204)])
def test_a_cameras_stream_is_known_by_its_packets(tmp_path, first, length):
    packet = bytearray(length)
    packet[first] = 0x47
    (tmp_path / "00001").write_bytes(bytes(packet) * 4)
    assert media_kind(tmp_path / "00001") == VIDEO
