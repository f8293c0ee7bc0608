"""One clock for every container: where it begins, where it ends, which stream it is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from odd_media import AAC, BOTH, CLOCKS, PICTURE, TONE, make, onset_in, times_of

from fsh.pipeline.media.clip_sound import read_sound
from fsh.pipeline.media.encode import write_video
from fsh.pipeline.media.probe import NotAVideo, probe


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("clocks")


@pytest.mark.parametrize("name", CLOCKS)
def test_any_container_has_all_frames_and_its_sound_in_step(folder, name):
    path = make(folder / name, CLOCKS[name])
    facts, times = probe(path), times_of(path)
    assert len(times) == 40 and not facts.jumps
    assert facts.duration == pytest.approx(1.6, abs=0.15)
    assert facts.duration >= times[-1] + 0.03
    assert 0 <= times[0] < 0.1
    np.testing.assert_allclose(np.diff(times), 0.04, atol=2e-3)
    np.testing.assert_allclose(times_of(path, times[20]), times[20:], atol=1e-9)
    sound = read_sound(path, times[0], times[-1])
    assert onset_in(sound) == pytest.approx(1.0, abs=0.04)
    later = read_sound(path, times[20], times[-1])
    assert onset_in(later) == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("name", ["offset.ts", "offset.mp4", "offset.mkv", "offset.flv"])
def test_the_sound_of_a_film_is_in_step_whatever_the_drivers_clock(folder, tmp_path, name):
    path = make(folder / f"f-{name}", CLOCKS[name])
    times = times_of(path)
    frames = [np.full((64, 64, 3), 5 * i, np.uint8) for i in range(len(times))]
    write_video(tmp_path / "film.mp4", frames, times, sound_of=path)
    assert probe(tmp_path / "film.mp4").duration == pytest.approx(1.62, abs=0.06)
    sound = read_sound(tmp_path / "film.mp4", times_of(tmp_path / "film.mp4")[0], 1.6)
    assert onset_in(sound) == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize(
    ("name", "words", "first", "last", "duration"),
    [
        ("late.mp4", f"-itsoffset 0.8 {BOTH} -map 0:v -map 1:a {AAC}", 0.8, 2.36, 2.4),
        ("late.mkv", f"-itsoffset 0.8 {BOTH} -map 0:v -map 1:a {AAC}", 0.8, 2.36, 2.4),
        ("late.ts", f"-itsoffset 0.8 {BOTH} -map 0:v -map 1:a {AAC}", 0.8, 2.36, 2.4),
        ("long.mp4", f"{PICTURE} -f lavfi -i sine=d=4 {AAC}", 0.0, 1.56, 4.0),
        ("long.mkv", f"{PICTURE} -f lavfi -i sine=d=4 {AAC}", 0.0, 1.56, 4.0),
        ("lapse.mp4", "-f lavfi -i testsrc2=s=96x64:r=1:d=5", 0.0, 4.0, 5.0),
        ("lapse.mkv", "-f lavfi -i testsrc2=s=96x64:r=1:d=5", 0.0, 4.0, 5.0),
        ("slow.mp4", "-f lavfi -i testsrc2=s=96x64:r=240:d=1", 0.0, 0.9958, 1.0),
        ("one.mp4", "-f lavfi -i testsrc2=s=96x64:r=25 -frames:v 1", 0.0, 0.0, 0.04),
        ("raw.h264", f"{PICTURE} -bf 0 -f h264", 0.0, 1.56, 1.6),
        ("a.gif", PICTURE, 0.0, 1.56, 1.6),
        ("a.apng", f"{PICTURE} -f apng", 0.0, 1.56, 1.6),
        ("pause.mp4", f"{PICTURE} -bf 0 -vf setpts=PTS+gte(N\\,20)*9/TB -fps_mode vfr", 0, 10.56,
         10.6),
        ("pause.ts", f"{PICTURE} -bf 0 -vf setpts=PTS+gte(N\\,20)*9/TB -fps_mode vfr", 0, 10.56,
         10.6),
    ],
)  # fmt: skip
def test_begin_and_end_are_those_of_pictures_and_sound(
    tmp_path, name, words, first, last, duration
):
    path = make(tmp_path / name, words)
    facts, times = probe(path), times_of(path)
    assert times[0] == pytest.approx(first, abs=0.06)
    assert times[-1] == pytest.approx(last, abs=0.06)
    assert facts.duration == pytest.approx(duration, abs=0.15)
    assert not facts.jumps and (np.diff(times) > 0).all()


def test_of_an_edit_list_what_is_cut_off_is_not_shown_and_the_sound_is_there(tmp_path):
    whole = make(tmp_path / "whole.mp4", f"{BOTH} {AAC} -g 100")
    cut = make(tmp_path / "cut.mp4", f"-ss 0.5 -i {whole} -c copy")
    times = times_of(cut)
    assert times[0] == pytest.approx(0, abs=0.05) and len(times) == pytest.approx(28, abs=2)
    assert onset_in(read_sound(cut, 0.0, 1.0)) == pytest.approx(0.5, abs=0.06)


def test_the_stream_that_a_player_shows_is_read(tmp_path):
    words = BOTH + " -map 2 -map 0 -map 1 " + AAC
    film = "-f lavfi -i testsrc2=s=48x48:r=10:d=1.6"
    picture = "-f lavfi -i testsrc2=s=48x48:r=1:d=1"
    for name, small, flags in (
        ("marked.mkv", film, "-disposition:v:0 0 -disposition:v:1 default"),
        ("cover.mp4", picture, "-c:v:0 png -disposition:v:0 attached_pic"),
        ("cover.mkv", picture, "-c:v:0 png -disposition:v:0 0 -disposition:v:1 default"),
        ("larger.mkv", film, "-disposition:v 0"),
    ):
        path = make(tmp_path / name, words.replace(" -map 2", f" {small} -map 2", 1) + f" {flags}")
        facts = probe(path)
        assert (facts.width, len(times_of(path))) == (96, 40), name


def test_frames_of_one_time_are_one_and_a_still_is_no_video(tmp_path):
    words = f"{PICTURE} -c:v libx264 -bf 0 -bsf:v setts=ts=floor(N/2)*2"
    times = times_of(make(tmp_path / "twice.mkv", words))
    assert len(times) <= 40 and (np.diff(times) > 0).all()
    for name in ("still.gif", "still.png", "still.jpg"):
        path = make(tmp_path / name, "-f lavfi -i testsrc2=s=96x64 -frames:v 1")
        with pytest.raises(NotAVideo, match="an image"):
            probe(path.rename(tmp_path / "named.mp4"))


def test_a_recording_that_was_never_finished_says_so(tmp_path):
    whole = make(tmp_path / "whole.mp4", f"{PICTURE} {TONE} {AAC}").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NotAVideo, match="recording was not finished") as caught:
        probe(path)
    assert caught.value.code == "not_media"
