"""Files that were joined: their time runs back or leaps, and in the copy it runs on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from odd_media import AAC, BOTH, CLOCKS, PICTURE, joined, make, onset_in, times_of

from fsh.pipeline.media.clip_sound import read_sound
from fsh.pipeline.media.footage import open_footage
from fsh.pipeline.media.one_clock import copy_with_one_clock, with_one_clock
from fsh.pipeline.media.probe import NotAVideo, probe
from fsh.schemas.errors import FshError

WIDE = BOTH.replace("s=96x64", "s=160x64")
PARTS = {
    "back.ts": (f"{BOTH} {AAC}", f"{BOTH} {AAC}"),
    "far_back.ts": (f"{BOTH} {AAC} -output_ts_offset 500", f"{BOTH} {AAC}"),
    "leap.ts": (f"{BOTH} {AAC}", f"{BOTH} {AAC} -output_ts_offset 500"),
    "other_size.ts": (f"{BOTH} {AAC}", f"{WIDE} {AAC}"),
    "back.mpg": (f"{BOTH} -c:v mpeg2video -c:a mp2", f"{BOTH} -c:v mpeg2video -c:a mp2"),
    "back.webm": (CLOCKS["browser.webm"], CLOCKS["browser.webm"]),
}


@pytest.mark.parametrize("name", PARTS)
def test_what_was_joined_has_one_clock(tmp_path, name):
    first, second = (make(tmp_path / f"{i}{name}", w) for i, w in enumerate(PARTS[name]))
    path = joined(tmp_path / name, first, second)
    assert probe(path).jumps
    if "leap" not in name and "far" not in name:
        with pytest.raises(FshError, match="time runs back"):
            times_of(path)
    copy, facts = with_one_clock(path)
    assert copy != path and with_one_clock(path)[0] == copy
    times = times_of(copy)
    # The last pictures of a stream that is cut off within a packet may be lost.
    assert 77 <= len(times) <= 80
    assert (np.diff(times) > 0).all() and np.diff(times).max() < 0.25
    assert facts.duration == pytest.approx(3.3, abs=0.25) and not facts.jumps
    middle = len(times) // 2 + 1
    for begin in (times[0], times[middle]):
        sound = read_sound(copy, begin, begin + 1.4)
        assert onset_in(sound) == pytest.approx(1.0, abs=0.12)
    assert open_footage(path, 25.0).path == copy


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two.mp4", CLOCKS["plain.mp4"]),
        ("two.mov", CLOCKS["timecode.mov"]),
        ("two.flv", f"{BOTH} {AAC}"),
        ("two.wmv", f"{BOTH} -c:v wmv2 -c:a wmav2"),
        ("two.mxf", f"{BOTH} -c:v mpeg2video -c:a pcm_s16le"),
        ("two.nut", f"{BOTH} -c:v mpeg4 -c:a mp2"),
        ("two.ivf", f"{PICTURE} -c:v libvpx -deadline realtime"),
        ("two.y4m", f"{PICTURE} -pix_fmt yuv420p"),
    ],
)
def test_a_recording_that_no_player_would_show_is_not_passed_over(tmp_path, name, words):
    part = make(tmp_path / f"one-{name}", words)
    assert not probe(part).jumps
    with pytest.raises(NotAVideo, match="another recording begins behind its end") as error:
        with_one_clock(joined(tmp_path / name, part, part))
    assert error.value.code == "joined"


def test_no_picture_is_lost_where_matroska_does_not_say_when_one_is_decoded(tmp_path):
    """Behind the first recording the library takes times of showing for those of decoding."""
    part = make(tmp_path / "part.mkv", f"{PICTURE} -c:v libx264 -bf 3 -b_strategy 0")
    copy, facts = with_one_clock(joined(tmp_path / "two.mkv", part, part))
    times = times_of(copy)
    assert len(times) == facts.frames == 80
    np.testing.assert_allclose(np.diff(times), 0.04, atol=2e-3)


def test_what_only_looks_like_a_second_recording_is_let_be(tmp_path):
    part = make(tmp_path / "fragments.mp4", CLOCKS["fragments.mp4"])
    assert with_one_clock(joined(tmp_path / "two.mp4", part, part))[1].duration > 3
    plain = make(tmp_path / "plain.mp4", CLOCKS["plain.mp4"])
    for tail in (b"\0" * 100, b"\0\0\0\x10moov", b"\0\0\0\x01moov" + b"\0" * 8, b"moov" * 99):
        (tmp_path / "tail.mp4").write_bytes(plain.read_bytes() + tail)
        assert probe(tmp_path / "tail.mp4").duration == pytest.approx(1.6, abs=0.1)


def test_a_copy_has_always_the_same_bytes_and_others_are_left_alone(tmp_path):
    part = make(tmp_path / "a.ts", f"{BOTH} {AAC}")
    path = joined(tmp_path / "two.ts", part, part)
    for name in ("x", "y"):
        copy_with_one_clock(path, tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    assert with_one_clock(part)[0] == part


def test_what_cannot_be_copied_says_so(tmp_path):
    path = Path(tmp_path, "a.ts")
    path.write_bytes(b"no video at all" * 100)
    with pytest.raises(FshError):
        copy_with_one_clock(path, tmp_path / "copy")
