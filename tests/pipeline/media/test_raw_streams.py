"""Pictures without a container, and containers that few use: all frames, or one line that helps."""

from __future__ import annotations

from pathlib import Path

import ingest_media
import numpy as np
import pytest
from odd_media import PICTURE, make

from fsh.pipeline.ingest.lists.folders import media_files
from fsh.pipeline.media.decode import Frame, read_proxy
from fsh.pipeline.media.media_kind import VIDEO, media_kind
from fsh.pipeline.media.probe import NotAVideo, probe
from fsh.pipeline.media.suffixes import VIDEO_SUFFIXES

DV = PICTURE.replace("s=96x64", "s=720x576")
READ = {
    "pal.dv": f"{DV} -target pal-dv",
    "ntsc.dv": f"{DV} -target ntsc-dv",
    "a.h264": f"{PICTURE} -c:v libx264 -bf 2",
    "a.hevc": f"{PICTURE} -c:v libx265 -x265-params log-level=none",
    "a.m1v": f"{PICTURE} -c:v mpeg1video",
    "a.m2v": f"{PICTURE} -c:v mpeg2video -bf 2",
    "a.m4v": f"{PICTURE} -c:v mpeg4 -bf 2 -f m4v",
    "a.h263": f"{PICTURE} -s 128x96 -c:v h263 -f h263",
    "a.y4m": f"{PICTURE} -pix_fmt yuv420p",
    "a.ivf": f"{PICTURE} -c:v libvpx -deadline realtime",
    "a.rm": f"{PICTURE} -s 128x96 -c:v rv10",
    "a.avi": f"{PICTURE} -c:v mpeg4 -bf 2",
    "a.vob": f"{PICTURE} -c:v mpeg2video -bf 2 -f vob",
    "a.mpg": f"{PICTURE} -c:v mpeg1video -bf 2",
    "a.ogv": f"{PICTURE} -c:v libtheora",
}


def frames_of(path: Path, start: float | None = None, end: float | None = None) -> list[Frame]:
    return list(read_proxy(path, (48, 32), start, end))


@pytest.mark.parametrize("name", READ)
def test_all_frames_are_there_also_from_the_middle_on(tmp_path, name):
    if "libx265" in READ[name] and not ingest_media.has_encoder("libx265"):
        pytest.skip("this ffmpeg has no H.265 encoder")
    path = make(tmp_path / name, READ[name])
    facts, frames = probe(path), frames_of(path)
    count = 47 if name == "ntsc.dv" else 40
    assert abs(len(frames) - count) <= (name == "ntsc.dv")
    assert facts.frames == len(frames)
    assert facts.duration == pytest.approx(len(frames) / facts.fps, abs=0.06)
    assert not facts.truncated and not facts.jumps
    assert facts.extension == path.suffix[1:] or name in ("a.m1v", "a.m2v", "a.vob")
    for place in (1, 13, 25, 38):
        later = frames_of(path, frames[place].time)
        assert [one.time for one in later] == [one.time for one in frames[place:]]
        for one, same in zip(later, frames[place:], strict=True):
            np.testing.assert_array_equal(one.pixels, same.pixels)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.h264", "-c:v libx264 -bf 2"),
        ("a.hevc", "-c:v libx265 -x265-params log-level=none"),
        ("a.m4v", "-c:v mpeg4 -f m4v"),
        ("a.m2v", "-c:v mpeg2video"),
    ],
)
def test_a_rate_that_only_the_pictures_state_counts(tmp_path, name, words):
    if "libx265" in words and not ingest_media.has_encoder("libx265"):
        pytest.skip("this ffmpeg has no H.265 encoder")
    path = make(tmp_path / name, f"-f lavfi -i testsrc2=s=96x64:r=30:d=2 {words}")
    facts, frames = probe(path), frames_of(path)
    assert (len(frames), facts.frames) == (60, 60)
    assert facts.fps == pytest.approx(30) and facts.duration == pytest.approx(2.0, abs=0.01)
    assert frames[-1].time == pytest.approx(59 / 30, abs=0.01)


@pytest.mark.parametrize("name", [name for name in READ if name not in ("a.h263", "a.ogv")])
def test_they_are_known_by_content_and_found_in_folders_by_name(tmp_path, name):
    path = make(tmp_path / name, READ[name])
    assert media_files(tmp_path) == [path]
    assert path.suffix in VIDEO_SUFFIXES
    nameless = path.rename(tmp_path / "nameless")
    assert media_kind(nameless) == VIDEO
    assert probe(nameless).frames > 0


@pytest.mark.parametrize(
    ("name", "words", "what", "remedy"),
    [
        ("a.mjpeg", "-c:v mjpeg -f mjpeg", "pictures without a container", "-f mjpeg -i FILE"),
        ("a.yuv", "-f rawvideo", "without their size", "-video_size WIDTHxHEIGHT"),
        ("a.swf", "-c:v flv", "a format that is not read here", "ffmpeg -i FILE NEW.mp4"),
    ],
)
def test_what_is_not_read_says_what_to_do(tmp_path, name, words, what, remedy):
    path = make(tmp_path / name, f"{PICTURE} {words}")
    with pytest.raises(NotAVideo, match=what) as caught:
        probe(path)
    assert caught.value.code == "not_media" and remedy in caught.value.remedy


@pytest.mark.parametrize("name", ["pal.dv", "a.h264", "a.m2v", "a.y4m", "a.h263", "a.mpg"])
def test_of_one_that_is_cut_counts_what_is_there(tmp_path, name):
    whole = make(tmp_path / name, READ[name]).read_bytes()
    path = tmp_path / f"cut-{name}"
    path.write_bytes(whole[: len(whole) * 6 // 10 + 7])
    facts, frames = probe(path), frames_of(path)
    assert 10 < len(frames) < 40 and facts.frames - len(frames) in (0, 1)
    assert facts.duration == pytest.approx(len(frames) / facts.fps, abs=0.12)
