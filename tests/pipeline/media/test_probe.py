"""Which files are accepted as videos; every kind is made by ffmpeg on the spot."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import ingest_media as media
import pytest

from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.media.probe import NotAVideo, probe


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.mark.parametrize(
    ("name", "arguments", "codec"),
    [
        ("a.mp4", (), "h264"),
        ("a.mov", (), "h264"),
        ("a.mkv", (), "h264"),
        ("a.ts", ("-c:v", "libx264"), "h264"),
        ("a.avi", ("-c:v", "mpeg4"), "mpeg4"),
        ("a.mpg", ("-c:v", "mpeg2video", "-r", "25"), "mpeg2video"),
        ("a.flv", ("-c:v", "flv"), "flv"),
        ("a.webm", ("-c:v", "libvpx-vp9"), "vp9"),
    ],
)
def test_containers(folder, name, arguments, codec):
    if codec == "vp9" and not media.has_encoder("libvpx-vp9"):
        pytest.skip("this ffmpeg has no VP9 encoder")
    facts = probe(media.make(folder / name, *arguments))
    assert (facts.width, facts.height) == (96, 64)
    assert facts.video_codec in (codec, f"lib{codec}", "flv1")
    assert facts.extension == {"mov": "mp4"}.get(name[2:], name[2:])
    assert facts.duration == pytest.approx(1.0, abs=0.15)
    assert facts.audio_codec == ""


def test_the_content_counts_and_not_the_name(folder):
    facts = probe(media.make(folder / "a.mkv").rename(folder / "a.jpg"))
    assert facts.extension == "mkv"
    image = media.make_image(folder / "picture.png").rename(folder / "picture.mp4")
    with pytest.raises(NotAVideo, match="an image") as caught:
        probe(image)
    assert caught.value.code == "not_media"


def test_what_is_no_file_is_not_waited_for(folder):
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    for name in ("folder.mp4", "pipe.mp4"):
        with pytest.raises(NotAVideo, match="not a file") as caught:
            probe(folder / name)
        assert caught.value.code == "not_a_file"


def test_the_pictures_that_are_there_count_in_a_file_without_an_index(folder):
    """Packets copied from a film into an AVI, which then states 600 pictures a second."""
    film = media.make(folder / "film.mp4", "-c:v", "libx264", "-bf", "2")
    avi = media.remux(film, folder / "copied.avi")
    facts, known = probe(avi), probe(film)
    assert facts.frames == known.frames
    assert facts.fps == pytest.approx(known.fps, rel=0.25)


def test_a_rotated_video_has_the_size_that_is_shown(folder):
    straight = media.make(folder / "straight.mp4")
    turned = media.remux(straight, folder / "turned.mp4", "-display_rotation", "90")
    facts = probe(turned)
    assert (facts.width, facts.height) == (64, 96)
    assert facts.rotation in (90, 270)


def test_variable_frame_rate(folder):
    gaps = media.make(folder / "vfr.mp4", "-vf", "select='not(eq(mod(n,3),1))'", "-fps_mode", "vfr")
    facts = probe(gaps)
    assert 0 < facts.fps < 10
    assert facts.duration == pytest.approx(1.0, abs=0.2)


def test_ten_bit_hevc(folder):
    if not media.has_encoder("libx265"):
        pytest.skip("this ffmpeg has no HEVC encoder")
    path = media.make(
        folder / "hevc.mp4",
        "-c:v",
        "libx265",
        "-pix_fmt",
        "yuv420p10le",
        "-x265-params",
        "log-level=0",
    )
    facts = probe(path)
    assert (facts.video_codec, facts.pixel_format) == ("hevc", "yuv420p10le")


def test_8k_is_accepted_and_larger_or_tiny_is_refused(folder):
    arguments = ("-c:v", "mjpeg", "-frames:v", "2", "-q:v", "31")
    facts = probe(media.make(folder / "8k.avi", *arguments, size="7680x4320"))
    assert (facts.width, facts.height) == (7680, 4320)
    huge = media.make(folder / "huge.avi", *arguments, size="8400x64")
    with pytest.raises(NotAVideo) as caught:
        probe(huge)
    assert caught.value.code == "bad_size"
    tiny = media.make(folder / "tiny.mp4", size="16x16")
    with pytest.raises(NotAVideo, match="16×16"):
        probe(tiny)


def test_sound_is_no_video_even_with_cover_art(folder):
    sound = media.make_sound(folder / "sound.m4a")
    picture = media.make_image(folder / "cover.png")
    cover = media.make_sound(
        folder / "cover.m4a",
        *("-i", str(picture), "-map", "0", "-map", "1", "-c:v", "png"),
        *("-disposition:v", "attached_pic"),
    )
    for path in (sound, cover):
        with pytest.raises(NotAVideo) as caught:
            probe(path)
        assert caught.value.code == "no_video"


def test_pictures_of_an_unknown_codec_are_the_last_choice_and_refused(folder):
    whole = media.make(folder / "known.mp4").read_bytes()
    assert whole.count(b"avc1") == 2  # one of them is in the file's brands
    path = folder / "unknown.mp4"
    path.write_bytes(whole.replace(b"avc1", b"xxxx"))
    with pytest.raises(NotAVideo, match="codec that is not known here") as caught:
        probe(path)
    assert caught.value.code == "no_codec"
    two = media.make(folder / "two.mkv", "-map", "0", "-map", "0")
    one, _, other = two.read_bytes().rpartition(b"V_MPEG4/ISO/AVC")
    for body in (
        one.replace(b"ISO/AVC", b"ISO/XXX") + b"V_MPEG4/ISO/AVC" + other,
        one + b"V_MPEG4/ISO/XXX" + other,
    ):
        two.write_bytes(body)
        assert probe(two).video_codec == "h264"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"<!doctype html><html><body>404</body></html>", "not_media"),
        (b"just words\n" * 100, "not_media"),
        (bytes(range(256)) * 64, "not_media"),
        (b"#EXTM3U\n#EXTINF:6,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "not_media"),
        (b"ffconcat version 1.0\nfile 'a.mp4'\n", "not_media"),
        (b"<?xml version='1.0'?><MPD><Period/></MPD>", "not_media"),
    ],
)
def test_files_that_are_no_media_are_refused(folder, content, code):
    path = folder / "odd.mp4"
    path.write_bytes(content)
    with pytest.raises(NotAVideo) as caught:
        probe(path)
    assert caught.value.code == code


def test_a_playlist_cannot_make_the_demuxer_open_other_files(folder):
    """An HLS playlist that names a perfectly good file beside it is refused all the same."""
    media.make(folder / "segment.ts")
    path = folder / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsegment.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(NotAVideo, match="a playlist"):
        probe(path)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_truncated_files_are_refused_below_two_thirds(folder, name):
    """Below two thirds a file is refused, above it counts for what is there."""
    arguments = ("-movflags", "+faststart") if name.endswith("mp4") else ()
    whole = media.make(folder / f"whole-{name}", "-g", "5", *arguments, seconds=8).read_bytes()
    path = folder / name
    path.write_bytes(whole[: int(len(whole) * 0.4)])
    with pytest.raises(NotAVideo, match="promises 8") as caught:
        probe(path)
    assert caught.value.code == "truncated"
    path.write_bytes(whole[: int(len(whole) * 0.83)])
    facts = probe(path)
    assert facts.truncated
    assert 5.3 < facts.duration < 7.3


def test_a_file_whose_index_is_missing_is_refused(folder):
    whole = media.make(folder / "late.mp4", seconds=2).read_bytes()
    path = folder / "no-index.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NotAVideo) as caught:
        probe(path)
    assert caught.value.code == "not_media"


def test_the_error_survives_pickling(folder):
    error = NotAVideo("no", where="x", remedy="y", code="empty")
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


@pytest.fixture
def prober():
    prober = Prober(timeout=120)
    yield prober
    prober.sandbox.close()


def test_the_child_answers_like_the_function(folder, prober):
    path = media.make(folder / "child.mp4")
    assert prober.probe(path) == probe(path)
    (folder / "nothing.mp4").write_bytes(b"")
    with pytest.raises(NotAVideo) as caught:
        prober.probe(folder / "nothing.mp4")
    assert caught.value.code == "empty"
    assert prober.probe(path).width == 96


def test_a_crash_or_hang_costs_one_file(folder, prober):
    path = media.make(folder / "good.mp4")
    prober.probe(path)
    os.kill(prober.sandbox._process.pid, signal.SIGSTOP)  # as a codec that never comes back
    prober.timeout = 0.3
    with pytest.raises(NotAVideo) as caught:
        prober.probe(path)
    assert caught.value.code == "hang"
    prober.timeout = 120
    assert prober.probe(path).width == 96
    os.kill(prober.sandbox._process.pid, signal.SIGSTOP)
    prober.start(path)
    os.kill(prober.sandbox._process.pid, signal.SIGSEGV)
    os.kill(prober.sandbox._process.pid, signal.SIGCONT)
    with pytest.raises(NotAVideo) as caught:
        prober.result()
    assert caught.value.code == "crash"
    prober.probe(path)
    prober.sandbox._process.kill()  # as the kernel does when memory runs out, while it idles
    prober.sandbox._process.wait()
    assert prober.probe(path).width == 96


def test_a_child_does_not_outlive_its_parent(folder):
    script = (
        "import os; from fsh.pipeline.ingest.prober import Prober; prober = Prober();"
        "prober.sandbox.launch(); print(prober.sandbox._process.pid, flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    parent = subprocess.run(command, env=environment, capture_output=True)
    child = Path("/proc", parent.stdout.decode().strip(), "stat")
    for _ in range(4800):
        if not child.exists() or ") Z " in child.read_text():
            return
        time.sleep(0.05)
    pytest.fail("the child is still there")


def test_an_answer_nobody_waited_for_is_not_taken_for_the_next_file(folder, prober):
    wide, tall = media.make(folder / "w.mp4"), media.make(folder / "t.mp4", size="64x96")
    prober.start(wide)
    assert prober.probe(tall).height == 96
