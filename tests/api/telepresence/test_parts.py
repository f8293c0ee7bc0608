"""Pure parts of a live session: messages, access, the mailbox, timing, names, consent, cameras."""

from __future__ import annotations

import json
import string
import subprocess
import sys
import threading
import types

import av
import numpy as np
import pytest
from fixture_ffmpeg import binary
from hypothesis import given
from hypothesis import strategies as st
from interlaced import combed, record, turned
from videos import moving, write_video

import fsh
from fsh.pipeline.media.decode import read_proxy
from fsh.schemas.errors import FshError
from fsh.schemas.live import STAGES, DrawnFrame
from fsh.schemas.progress import Silent
from fsh.telepresence.access import Access, headers
from fsh.telepresence.browser_video import browser_video
from fsh.telepresence.mailbox import Mailbox
from fsh.telepresence.messages import (
    Kind,
    PageData,
    answer_message,
    data_message,
    read_answer,
    read_command,
    read_data,
)
from fsh.telepresence.new_person import PersonMaker, consent_of
from fsh.telepresence.timing import LiveTiming
from fsh.telepresence.virtual_camera import SIDE, VirtualCamera


@given(
    st.sampled_from(Kind),
    st.integers(0, 2**32 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(min_size=1, max_size=50),
)
def test_data_comes_back_as_it_was(kind, number, time, content):
    data = PageData(kind, number, time, content)
    assert read_data(data_message(data)) == data


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(message):
    try:
        assert data_message(read_data(message))[:5] == message[:5]
    except FshError as error:
        assert "\n" not in str(error)


@given(st.text(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
).map(json.dumps))  # fmt: skip
def test_any_text_is_read_or_refused(message):
    try:
        assert isinstance(read_command(message).do, str)
    except FshError as error:
        assert "\n" not in str(error)


@given(st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=3)))
def test_a_number_is_one_in_range(value):
    command = read_command(json.dumps({"do": "x", "n": value}))
    try:
        assert 0 <= command.number("n", 0, 60) <= 60
    except FshError:
        assert not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 60


def test_an_answer_says_what_is_in_it():
    points = np.random.default_rng(0).uniform(0, 640, (68, 2)).astype(np.float32)
    frame = DrawnFrame(2**32 - 1, 1.0, 3, b"\xff\xd8jpeg", points, True, 0.01234)
    number, about, jpeg = read_answer(answer_message(frame))
    assert (number, jpeg) == (2**32 - 1, b"\xff\xd8jpeg")
    assert about["person"] == 3 and about["face"] and about["bridged"]
    np.testing.assert_allclose(about["landmarks"], points, atol=0.051)
    assert read_answer(answer_message(DrawnFrame(0, 0, 0)))[2] == b""


LOCAL, OPEN = Access.new("127.0.0.1"), Access.new("0.0.0.0")


@pytest.mark.parametrize(
    ("header", "local", "opened"),
    [
        ("127.0.0.1:8736", True, True),
        ("localhost:8736", True, True),
        ("[::1]:8736", True, True),
        ("LOCALHOST", True, True),
        ("192.168.1.7:8736", False, True),
        ("attacker.example:8736", False, False),
        ("127.0.0.1.attacker.example", False, False),
        ("localhost.attacker.example", False, False),
        ("", False, False),
        ("[", False, False),
    ],
)
def test_hosts_that_are_this_machine(header, local, opened):
    assert LOCAL.allows_host(header) is local
    assert OPEN.allows_host(header) is opened


@given(st.text(string.printable, max_size=30))
def test_no_other_path_than_that_of_the_token(path):
    assert LOCAL.allows_path(path) is None
    assert LOCAL.allows_path(f"/{LOCAL.token}/{path}") == path
    assert LOCAL.allows_path(f"/{LOCAL.token[:-1]}/{path}") is None


def test_origins_and_tokens():
    assert LOCAL.token != Access.new("127.0.0.1").token and len(LOCAL.token) >= 32
    assert LOCAL.allows_origin("http://127.0.0.1:1", "127.0.0.1:1")
    for origin in ("", "null", "http://127.0.0.1:2", "http://localhost:1", "file://"):
        assert not LOCAL.allows_origin(origin, "127.0.0.1:1")
    assert "ws://127.0.0.1:1" in headers("127.0.0.1:1")["content-security-policy"]
    assert "unsafe" not in headers("127.0.0.1:1")["content-security-policy"]


def test_the_newest_item_wins_and_closing_wakes():
    box: Mailbox[int] = Mailbox()
    for number in range(5):
        box.put(number)
    assert box.take() == 4 and box.dropped == 4
    got: list[int | None] = []
    waiting = threading.Thread(target=lambda: got.append(box.take()))
    waiting.start()
    box.close()
    waiting.join(240)
    assert got == [None] and box.take() is None


def test_latency_counts_smoothing_and_memory_is_bounded():
    timing = LiveTiming()
    assert timing.summary()["fps"] == 0 and timing.mean_fps == 0
    for number in range(1000):
        timing.drawn({"draw": 0.02}, delay=0.03)
        timing.seen(0.05 if number % 10 else 0.2)
    told = timing.summary()
    assert told["p50"] == pytest.approx(80) and told["p95"] == pytest.approx(230)
    assert told["smoothing"] == pytest.approx(30) and told["shown"] == 1000
    assert told["stages"]["draw"] == pytest.approx(20) and [*told["stages"]] == list(STAGES)
    assert all(len(x) <= 300 for x in (timing._times, timing._latencies, timing._stages))


@pytest.mark.parametrize(
    "name", ["", "  ", ".", "..", "../x", "a/b", "a\\b", "a\nb", "-x", "x" * 61, "a\0b", "taken"]
)
def test_names_that_no_new_person_can_have(tmp_path, name):
    (tmp_path / "taken").mkdir()
    with pytest.raises(FshError) as error:
        PersonMaker(tmp_path, tmp_path).folder(name)
    assert "\n" not in str(error.value)


def test_a_name_may_have_blanks_and_letters_of_any_script(tmp_path):
    for name in ("Ada", "Ada Example", "Ада", "me 2"):
        assert PersonMaker(tmp_path, tmp_path).folder(name) == tmp_path / name


def test_consent_is_stated_in_full():
    stated = consent_of({"who": "Ada", "by": "Ada", "until": "2099-01-31"})
    assert stated.scope == ("animate", "personalize") and stated.given is not None
    for wrong in ({"until": "2001-01-01"}, {"who": ""}, {"by": None}, {"until": "soon"}):
        with pytest.raises(FshError):
            consent_of({"who": "Ada", "by": "Ada", "until": "2099-01-31", **wrong})


def test_a_clip_is_handed_over_or_converted(tmp_path):
    clip = write_video(tmp_path / "talk.mp4", moving(0.4))
    with browser_video(clip, Silent()) as shown:
        assert shown == clip
    other = write_video(tmp_path / "talk.avi", moving(0.4))
    with browser_video(other, Silent()) as shown:
        assert shown.suffix == ".mp4" and shown.stat().st_size
    assert not shown.exists()
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(FshError, match="not a video"), browser_video(tmp_path / "no.mp4", Silent()):
        pass
    unknown = tmp_path / "unknown.mp4"
    unknown.write_bytes(clip.read_bytes().replace(b"avc1", b"xxxx"))
    with pytest.raises(FshError) as caught, browser_video(unknown, Silent()):
        pass
    assert caught.value.where == str(unknown)


@pytest.mark.parametrize(
    ("size", "shown_size"),
    [
        ("97x65", (96, 64)),
        ("1600x64", (1280, 50)),
        ("64x1600", (50, 1280)),
        ("641x480", (640, 480)),
    ],
)
def test_a_converted_clip_has_even_sides_of_at_most_1280_pixels(tmp_path, size, shown_size):
    source = ["-f", "lavfi", "-i", f"testsrc=s={size}:r=5:d=0.4", "-c:v", "ffv1"]
    subprocess.run([binary(), "-v", "error", *source, str(tmp_path / "clip.mkv")], check=True)
    with browser_video(tmp_path / "clip.mkv", Silent()) as shown, av.open(str(shown)) as file:
        (coded,) = file.streams.video
        assert (coded.width, coded.height) == shown_size


@pytest.mark.parametrize("degrees", [0, 90])
def test_what_browsers_would_show_with_combs_is_converted(tmp_path, degrees):
    clip = record(tmp_path / "camera.mp4")
    clip = turned(clip, degrees) if degrees else clip
    size = (240, 320) if degrees else (320, 240)
    with browser_video(clip, Silent()) as shown:
        assert shown != clip
        lumas = [frame.pixels[: size[1]] for frame in read_proxy(shown, size)]
    assert len(lumas) == 50
    assert np.median([combed(np.rot90(luma, -degrees // 90)) for luma in lumas[10:40]]) < 1


def test_without_a_device_the_virtual_camera_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(FshError, match=r"pip install 'fsh\[virtual-camera\]'"):
        VirtualCamera()

    def no_device(**_: object) -> None:
        raise RuntimeError("'v4l2loopback' backend: no device")

    fake = types.SimpleNamespace(Camera=no_device)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", fake)
    with pytest.raises(FshError, match=r"no virtual camera .*→ ") as error:
        VirtualCamera()
    assert "\n" not in str(error.value)


def test_the_virtual_camera_repeats_the_newest_picture(monkeypatch):
    sent: list[np.ndarray] = []
    enough = threading.Event()

    class Camera:
        device = "/dev/video9"

        def __init__(self, width: int, height: int, fps: int) -> None:
            assert (width, height) == (SIDE, SIDE)

        def send(self, picture: np.ndarray) -> None:
            sent.append(picture)
            if sum(p.mean() > 100 for p in sent) > 2:
                enough.set()

        def close(self) -> None:
            sent.append(np.empty(0))

    fake = types.SimpleNamespace(Camera=Camera)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", fake)
    camera = VirtualCamera()
    assert camera.device == "/dev/video9"
    camera.show(np.full((256, 256, 3), 200, np.uint8))
    assert enough.wait(240)
    camera.close()
    assert sent[-1].size == 0 and sent[-2].shape == (SIDE, SIDE, 3)


def test_what_cannot_start_is_told_before_anything_is_served(tmp_path):
    with pytest.raises(FshError, match="no person here"):
        fsh.live(people=tmp_path, recordings=tmp_path, open_page=False, seconds=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(FshError, match="is a file"):
        fsh.live(tmp_path / "x", recordings=tmp_path / "file", open_page=False, seconds=0)
