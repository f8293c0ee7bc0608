"""Every format a film can have: what is in the file, its times and its sound."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from fixture_ffmpeg import binary
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fsh.pipeline.media.clip_sound import read_sound
from fsh.pipeline.media.containers import FORMATS, film_format
from fsh.pipeline.media.decode import read_proxy
from fsh.pipeline.media.encode import gif_times, write_video
from fsh.pipeline.media.picture_files import TIMES, require_pictures_folder, write_pictures
from fsh.pipeline.media.probe import probe
from fsh.pipeline.media.sound import plan_sound
from fsh.schemas.errors import FshError

VIDEOS = ("mp4", "mov", "mkv", "webm")
#: A tone of 0.2 s.
TONE = r"aevalsrc=exprs=0.8*between(t\,{at}\,{at}+0.2)*sin(2*PI*440*t):d={d}:s={rate}"
PICTURE = "-f lavfi -i testsrc=s=64x64:r=25:d=1.6"


def frames(count: int, size: int = 32):
    for i in range(count):
        yield np.full((size, size, 3), 10 * i % 255, np.uint8)


def make(path: Path, words: str) -> Path:
    subprocess.run([binary(), "-v", "error", *words.split(), str(path)], check=True)
    return path


def tone(at: float = 1.0, rate: int = 48000, d: float = 1.6) -> str:
    return "-f lavfi -i " + TONE.format(at=at, rate=rate, d=d)


def film_of(source: Path, output: Path) -> Path:
    times = np.array([frame.time for frame in read_proxy(source, (64, 64))])
    write_video(output, frames(len(times)), times, sound_of=source)
    return output


def onset(path: Path) -> float:
    """Seconds from the first picture to the tone in the first sound track."""
    with av.open(str(path)) as file:
        start = next(float(f.pts * f.time_base) for f in file.decode(video=0))
    to_float = av.AudioResampler("fltp", "mono", 48000)
    with av.open(str(path)) as file:
        first, samples = None, []
        for frame in file.decode(audio=0):
            first = float(frame.pts * frame.time_base) if first is None else first
            samples += [part.to_ndarray()[0] for part in to_float.resample(frame)]
    return first + np.argmax(np.abs(np.concatenate(samples)) > 0.15) / 48000 - start


@pytest.mark.parametrize("kind", [*VIDEOS, "gif"])
def test_the_ending_decides_container_and_codec(tmp_path, kind):
    path, times = tmp_path / f"O.{kind.upper()}", np.arange(10) / 25
    assert write_video(path, frames(10), times) == 10
    wanted = {
        "mp4": ("mp4", "h264"),
        "mov": ("mov", "h264"),
        "mkv": ("matroska", "h264"),
        "webm": ("webm", "vp9"),
        "gif": ("gif", "gif"),
    }[kind]
    with av.open(str(path)) as file:
        assert wanted[0] in file.format.name
        assert file.streams.video[0].codec_context.name == wanted[1]
        shown = [float(f.pts * f.time_base) for f in file.decode(video=0)]
    np.testing.assert_allclose(shown, times, atol=6e-4)
    head = path.read_bytes()[:64]
    brand = {"mp4": b"ftypisom", "mov": b"ftypqt", "mkv": b"matroska", "webm": b"webm"}
    assert brand.get(kind, b"GIF89a") in head


@pytest.mark.parametrize("name", ["x", "x.avi", "x.txt", "x.png", "x.mp4.bak", "folder"])
def test_other_names_are_refused_with_what_is_possible(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FshError, match=r"\.mp4, \.mov, \.mkv, \.webm or \.gif.*--format png"):
        write_video(tmp_path / name, frames(2), np.arange(2) / 25)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_ending_and_a_format_must_agree():
    assert film_format(Path("a/frames"), "png").name == "png"
    assert film_format(Path("x.WebM"), "webm").name == "webm"
    for name, wanted in (("x.mp4", "webm"), ("x", "mp4"), ("x.mp4", "png"), ("x.mp4", "divx")):
        with pytest.raises(FshError, match="--format"):
            film_format(Path(name), wanted)


def test_a_variable_rate_is_kept_to_the_millisecond(tmp_path):
    times = 0.2 + np.cumsum(np.random.default_rng(0).uniform(0.02, 0.09, 25))
    for kind in VIDEOS:
        write_video(tmp_path / f"o.{kind}", frames(25), times)
        with av.open(str(tmp_path / f"o.{kind}")) as file:
            shown = [float(f.pts * f.time_base) for f in file.decode(video=0)]
        np.testing.assert_allclose(shown, times, atol=6e-4)


@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=80), st.floats(0, 9))
def test_a_gif_never_runs_faster_than_players_do_and_never_drifts(steps, start):
    times = start + np.cumsum(steps)
    shown = gif_times(times)
    kept = shown >= 0
    assert kept[0] and (np.diff(shown[kept]) >= 2).all()
    assert np.abs(shown - (times - times[0]) * 100)[kept].max() <= 1.01
    if min(steps) >= 0.0201:
        assert kept.all()


@pytest.mark.parametrize(("rate", "most"), [(25, 25), (30, 30), (60, 50), (120, 50)])
def test_a_gif_lasts_as_long_as_its_film(tmp_path, rate, most):
    write_video(tmp_path / "o.gif", frames(rate), np.arange(rate) / rate)
    with Image.open(tmp_path / "o.gif") as picture:
        durations = []
        for number in range(picture.n_frames):
            picture.seek(number)
            durations.append(picture.info["duration"])
        assert picture.info["loop"] == 0
    assert abs(sum(durations) - 1000) <= 20 and len(durations) <= most + 1


SOUNDS = {
    "96kHz-5.1.mkv": f"{PICTURE} {tone(rate=96000)} -af "
    "pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0 -c:a pcm_s24le",
    "side.mkv": f"{PICTURE} {tone()} -af pan=5.1(side)|FL=c0|FR=c0|FC=c0|LFE=c0|SL=c0|SR=c0"
    " -c:a flac",
    "opus.webm": f"{PICTURE} {tone()} -c:v libvpx-vp9 -deadline realtime -c:a libopus",
    "mulaw.mkv": f"{PICTURE} {tone(rate=8000)} -c:a pcm_mulaw",
    "slow.mkv": f"{PICTURE} {tone(rate=8000)} -c:a libmp3lame",
    "odd.avi": f"{PICTURE} {tone(rate=37800)} -c:a pcm_u8",
    "vorbis.mkv": f"{PICTURE} {tone()} -c:a libvorbis",
    "late.mkv": f"{PICTURE} -itsoffset 0.6 {tone(at=0.4)} -c:a libvorbis",
    "early.mp4": f"-itsoffset 0.48 {PICTURE} {tone(at=1.48, d=2.1)} -c:a aac",
    "early.ts": f"-itsoffset 0.48 {PICTURE} {tone(at=1.48, d=2.1)} -c:a mp2",
    "late.ts": f"{PICTURE} -itsoffset 0.6 {tone(at=0.4)} -c:a aac",
    "wma.wmv": f"{PICTURE} {tone(rate=44100)} -c:a wmav2",
    "many.mkv": f"{PICTURE} {tone()} -af pan=12c|" + "|".join(f"c{i}=c0" for i in range(12)),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_any_sound_is_taken_and_keeps_its_place(tmp_path, name):
    source = make(tmp_path / name, SOUNDS[name])
    for kind in VIDEOS:
        output = film_of(source, tmp_path / f"film.{kind}")
        with av.open(str(output)) as file:
            codec = file.streams.audio[0].codec_context.name
            assert file.duration / av.time_base == pytest.approx(1.6, abs=0.6)
        assert kind != "webm" or codec in ("opus", "vorbis")
        assert onset(output) == pytest.approx(1.0, abs=0.03), kind


@pytest.mark.parametrize(
    ("dispositions", "heard"),
    [("-disposition:a:0 0 -disposition:a:1 default", 1.0), ("-disposition:a 0", 0.3)],
)
def test_of_several_tracks_the_default_one_is_kept(tmp_path, dispositions, heard):
    words = f"{PICTURE} {tone(at=0.3)} {tone(at=1.0)} -map 0 -map 1 -map 2 -c:a aac {dispositions}"
    source = make(tmp_path / "two.mkv", words)
    output = film_of(source, tmp_path / "film.mp4")
    with av.open(str(output)) as file:
        assert len(file.streams.audio) == 1
    assert onset(output) == pytest.approx(heard, abs=0.03)


def test_the_default_track_is_what_shards_and_facts_hold(tmp_path):
    words = f"{PICTURE} {tone(at=0.3)} {tone(at=1.0)} -map 0 -map 1 -map 2 -c:a:0 libmp3lame"
    words += " -c:a:1 aac -disposition:a:0 0 -disposition:a:1 default"
    source = make(tmp_path / "two.mkv", words)
    assert probe(source).audio_codec == "aac"
    with av.open(io.BytesIO(read_sound(source, 0, 0.9))) as file:
        loudest = max(np.abs(frame.to_ndarray()).max() for frame in file.decode(audio=0))
    assert loudest < 200
    with av.open(io.BytesIO(read_sound(source, 0.9, 1.5))) as file:
        assert max(np.abs(frame.to_ndarray()).max() for frame in file.decode(audio=0)) > 9000


def test_subtitles_and_cover_pictures_are_ignored(tmp_path):
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    source = make(
        tmp_path / "all.mkv",
        f"{PICTURE} {tone()} -i {words} -f lavfi -i color=s=64x64:d=0.04 -map 0 -map 1 -map 2"
        " -map 3 -c:s srt -c:a aac -c:v:1 mjpeg -disposition:v:1 attached_pic",
    )
    with av.open(str(film_of(source, tmp_path / "film.mkv"))) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio"]


def test_damaged_sound_is_left_out_and_the_rest_is_there(tmp_path):
    source = make(tmp_path / "whole.mkv", f"{PICTURE} {tone()} -c:v mjpeg -c:a aac")
    content = bytearray(source.read_bytes())
    content[len(content) * 2 // 3 : len(content) * 2 // 3 + 400] = bytes(400)
    source.write_bytes(content)
    times = np.arange(40) / 25
    for kind in VIDEOS:
        assert write_video(tmp_path / f"o.{kind}", frames(40), times, sound_of=source) == 40


def test_sound_that_gets_lost_is_known_beforehand(tmp_path):
    source = make(tmp_path / "a.mkv", f"{PICTURE} {tone()} -c:a aac")
    silent = make(tmp_path / "b.mkv", PICTURE)
    plan, lacking = plan_sound(source, FORMATS["gif"])
    assert plan is None and lacking == "a gif film has no sound"
    assert plan_sound(silent, FORMATS["mp4"]) == (None, "")
    assert plan_sound(source, FORMATS["mp4"])[0].encoder == ""
    assert plan_sound(source, FORMATS["webm"])[0].encoder == "libopus"


def test_pictures_go_into_a_folder_of_their_own(tmp_path):
    folder, finished = tmp_path / "film", []
    assert write_pictures(folder, frames(3), np.arange(3) / 25, finished.append) == 3
    assert sorted(p.name for p in folder.iterdir()) == [*(f"00000{i}.png" for i in range(3)), TIMES]
    assert json.loads((folder / TIMES).read_text())["times"] == [0, 0.04, 0.08]
    assert len(finished) == 3
    assert write_pictures(folder, frames(2), np.arange(2) / 25) == 2  # its own older pictures
    with pytest.raises(FshError, match="frames"):
        write_pictures(folder, frames(2), np.arange(3) / 25)
    assert len(list(folder.iterdir())) == 3 and len(list(tmp_path.iterdir())) == 1
    (folder / "mine.png").write_bytes(b"mine")
    with pytest.raises(FshError, match=r"holds mine\.png besides"):
        write_pictures(folder, frames(2), np.arange(2) / 25)


def test_a_folder_of_somebody_elses_pictures_is_not_replaced(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    require_pictures_folder(folder)
    (folder / "000000.png").write_bytes(b"mine")
    with pytest.raises(FshError, match="holds something"):
        require_pictures_folder(folder)
    with pytest.raises(FshError, match="is no folder"):
        require_pictures_folder(folder / "000000.png")


AV1 = ("libsvtav1", "libaom-av1", "librav1e")


def test_a_source_of_av1_with_aac_in_mkv_keeps_its_times(tmp_path):
    """Matroska tells of AAC's priming samples by itself, not in an edit list as MP4 does."""
    known = subprocess.run([binary(), "-encoders"], capture_output=True, text=True).stdout
    encoder = next((name for name in AV1 if name in known), None)
    if encoder is None:
        pytest.skip("the ffmpeg in use encodes no AV1")
    words = f"{PICTURE} {tone()} -map 0:v -map 1:a -c:v {encoder} -c:a aac"
    source = make(tmp_path / "source.mkv", words)
    assert probe(source).video_codec == "av1"
    film = film_of(source, tmp_path / "film.mp4")
    assert abs(onset(film) - 1.0) < 0.03
    assert len(list(read_proxy(film, (64, 64)))) == 40
