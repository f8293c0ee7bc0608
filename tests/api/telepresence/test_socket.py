"""The socket of a live page: frames, people, recordings, and what does not belong there."""

from __future__ import annotations

import http.client
import random
import struct
import threading
import time
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from clusters import wait_until
from live_people import consent, copying_person, photo_of, save_people, talking
from live_server import PATIENCE, Served, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus

import fsh
from fsh.pipeline.provenance.watermark_detection import detect_watermark
from fsh.schemas.errors import FshError
from fsh.telepresence.cast import Cast
from fsh.telepresence.messages import Kind, PageData, data_message
from fsh.trainer.person.person import Person


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> list[Path]:
    return save_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> list[np.ndarray]:
    return talking(1, photo_of(tmp_path_factory.mktemp("photo")))


@pytest.fixture(scope="module")
def served(people, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "recordings"
    with serving(people, out, why_no_maker="no training run here") as server:
        yield server


@pytest.fixture(autouse=True)
def nobody_else(served) -> None:
    """The pages of the test before have gone: only so many are served at once."""
    wait_until(lambda: not served.studio.connections, "the end of the test before")


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("fsh-live")]


def fetch(served: Served, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(
        served.address.removeprefix("http://"), timeout=PATIENCE
    )
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.content = answer.read()
    return answer


def token(served: Served) -> str:
    return served.url.rsplit("/", 2)[1]


def test_the_page_is_given_to_whoever_has_the_token(served):
    page = fetch(served, f"/{token(served)}/")
    assert page.status == 200 and b"AI-generated" in page.content
    policy = page.getheader("content-security-policy")
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert page.getheader("cache-control") == "no-store"
    for name in ("page.js", "page.css", "clock.js"):
        assert fetch(served, f"/{token(served)}/{name}").status == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/page.js", {}),
        ("/wrong/", {}),
        ("/wrong/socket", {}),
        ("/{token}", {}),
        ("/{token}x/", {}),
        ("/{token}/../page.js", {}),
        ("/{token}/server.py", {}),
        ("/{token}/../server.py", {}),
        ("/{token}/%2e%2e/server.py", {}),
        ("/{token}/camera", {}),
        ("/{token}/", {"Host": "attacker.example"}),
        ("/{token}/", {"Host": "127.0.0.1.attacker.example"}),
        ("/{token}/", {"Origin": "http://attacker.example"}),
        ("/{token}/", {"Origin": "null"}),
        ("/%ff%00/", {}),
    ],
)
def test_strangers_get_nothing(served, path, headers):
    answer = fetch(served, path.format(token=token(served)), **headers)
    assert answer.status == 404 and answer.content == b"not found"
    assert not any(name.lower().startswith("access-control") for name, _ in answer.getheaders())


@pytest.mark.parametrize("origin", ["http://attacker.example", None, "null", "http://127.0.0.1"])
def test_a_socket_of_another_origin_is_refused(served, origin):
    with pytest.raises(InvalidStatus):
        served.open(origin)


def test_frames_come_back_as_the_person_marked_and_moving(served, people, film):
    with served.open() as page:
        assert page.wait("want")
        pictures, openings = [], []
        page.ask("mirror", on=False)
        for frame in film:
            number, about, picture = page.drawn(frame)
            assert number == page.number and about["face"] and about["person"] == 0
            assert picture.shape == (256, 256, 3)
            pictures.append(picture)
            inner = np.array(about["landmarks"])[[62, 66], 1]
            openings.append(float(np.ptp(inner)))
        page.ask("shown", number=number, seconds=0.05)
        page.drawn(film[0], at=10)
        time.sleep(0.6)
        page.drawn(film[0], at=11)
        while (told := page.wait("speed"))["shown"] == 0:
            pass
    own = Person.load(people[0]).references.pictures[0].permute(1, 2, 0).numpy() * 127.5 + 127.5
    assert np.abs(pictures[0].astype(float) - own).mean() < 12
    mark = detect_watermark(pictures)
    card = served.studio.cast[0].marks.watermark.payload
    assert mark.present and mark.payload == card and mark.score > 12
    # The mouth: what moves between closed and open in the driver moves in the drawing.
    region = (slice(150, 215), slice(90, 165))
    change = [np.abs(p[region].astype(float) - pictures[0][region]).mean() for p in pictures]
    assert np.corrcoef(change, openings)[0, 1] > 0.8
    assert set(told["stages"]) >= {"decode", "landmarks", "draw", "mark", "encode"}
    assert told["p50"] > 0 and told["shown"] == 1


def test_people_are_switched_within_a_frame(served, people, film):
    colors = []
    with served.open() as page:
        for number in (0, 1, 0):
            page.ask("person", number=number)
            _, about, picture = page.drawn(film[0])
            assert about["person"] == number
            colors.append(picture[..., 0].astype(int) - picture[..., 2])
        page.ask("person", number=7)
        assert "no person 8" in page.wait("problem")["what"]
        _, about, _ = page.drawn(film[0])
        assert about["person"] == 0
    assert colors[0].mean() > colors[1].mean() + 20
    assert abs(colors[0].mean() - colors[2].mean()) < 2


def test_the_newest_frame_wins(served, film):
    with served.open() as page:
        page.drawn(film[0])
        page.send_all([film[1]] * 40)
        answers = []
        while not answers or answers[-1] < page.number:
            answers.append(page.answer()[0])
        assert answers == sorted(answers) and answers[-1] == page.number
        assert len(answers) < 38  # those between were dropped, not drawn late


def test_no_face_is_said_and_a_short_gap_is_bridged(served, film):
    empty = np.full((480, 640, 3), 128, np.uint8)
    with served.open() as page:
        _, about, picture = page.drawn(empty)
        assert not about["face"] and picture is None and about["landmarks"] is None
        page.drawn(film[0], at=1.0)
        _, about, picture = page.drawn(empty, at=1.1)
        assert not about["face"] and about["bridged"] and picture is not None
        assert about["delay"] == pytest.approx(0.1, abs=1e-3)
        _, about, picture = page.drawn(empty, at=2.0)
        assert not about["face"] and picture is None


GARBAGE = [
    b"",
    b"\x01",
    random.Random(0).randbytes(200),
    b"\x09" + bytes(40),
    data_message(PageData(Kind.FRAME, 0, 0.0, b"no JPEG")),
    data_message(PageData(Kind.FRAME, 0, float("nan"), b"x")),
    data_message(PageData(Kind.PHOTO, 0, 0.0, b"no JPEG")),
    struct.pack("<BId", 1, 2**32 - 1, 1e300) + b"\xff\xd8\xff" + bytes(100),
    "",
    "{",
    "[]",
    '{"do": 1}',
    '{"do": "explode"}',
    '{"do": "person"}',
    '{"do": "person", "number": "1"}',
    '{"do": "person", "number": 1e999}',
    '{"do": "mirror", "on": "yes"}',
    '{"do": "shown", "seconds": -1}',
    '{"do": "record", "on": true, "sound_from": "now"}',
    '{"do": "make"}',
    "[" * 100_000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda g: repr(g[:24]))
def test_garbage_closes_that_socket_only(served, film, garbage):
    with served.open() as other:
        other.drawn(film[0])
        with served.open() as page:
            page.wait("want")
            page.socket.send(garbage)
            with pytest.raises(ConnectionClosed):
                while True:
                    page.socket.recv(timeout=PATIENCE)
        assert other.drawn(film[1])[2] is not None


def test_pages_are_limited_and_free_what_they_held(served, film):
    before = len(threads())
    pages = [served.open() for _ in range(4)]
    for page in pages:
        page.drawn(film[0])
    with served.open() as late, pytest.raises(ConnectionClosed):
        late.socket.recv(timeout=PATIENCE)
    pages[0].socket.socket.close()  # as a browser that was killed
    for page in pages[1:]:
        page.socket.close()
    wait_until(lambda: len(threads()) <= before and not served.studio.connections, "their end")
    with served.open() as page:
        assert page.drawn(film[0])[2] is not None


def test_memory_does_not_grow_with_frames(served, film):
    with served.open() as page:
        for _ in range(30):
            page.drawn(film[0])
        tracemalloc.start()
        for _ in range(20):
            page.drawn(film[1])
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            page.drawn(film[2])
        grown = tracemalloc.get_traced_memory()[0] - first
        tracemalloc.stop()
    assert grown < 3_000_000  # the frames at work; 50 frames decoded are 46 MB


def test_a_recording_is_a_signed_film_of_one_person(served, film):
    with served.open() as page:
        page.ask("mirror", on=False)
        page.drawn(film[0], at=1.0)
        page.ask("record", on=True)
        path = Path(page.wait("record")["path"])
        for i, frame in enumerate(film):
            page.drawn(frame, at=2.0 + i / 25)
        page.ask("person", number=1)
        told = page.wait("recorded")
        ended = page.wait("record")
        assert (ended["on"], ended["next"]) == (False, True)
    assert told["path"] == str(path) and told["frames"] == len(film) and not told["sound"]
    assert told["seconds"] == pytest.approx((len(film) - 1) / 25, abs=0.01)
    assert path.parent == served.studio.recordings
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    checked = fsh.verify(path)
    assert checked.ok and checked.consent["who"] == "Ada"
    with av.open(str(path)) as video:
        times = [float(f.pts * f.time_base) for f in video.decode(video=0)]
    np.testing.assert_allclose(np.diff(times), 1 / 25, atol=0.002)


def test_a_page_that_goes_away_loses_no_recording(served, film):
    with served.open() as page:
        page.ask("record", on=True)
        path = Path(page.wait("record")["path"])
        for frame in film[:10]:
            page.drawn(frame)
        page.socket.socket.close()
    wait_until(path.exists, "the film")
    assert fsh.verify(path).ok


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (consent(days=-1), "it ended on"),
        (consent(scope=("personalize",)), "its scope is personalize, not animate"),
    ],
)
def test_without_consent_nothing_starts(tmp_path, people, statement, words):
    copying_person(photo_of(tmp_path), statement).save(tmp_path / "cia")
    with pytest.raises(FshError, match=words):
        fsh.live([people[0], tmp_path / "cia"], recordings=tmp_path, open_page=False, seconds=0)
    cast = Cast.of(people, None, None)
    with pytest.raises(FshError, match=words):
        cast.add(tmp_path / "cia")


def test_a_consent_that_ends_while_live_ends_the_session(people, film, tmp_path, monkeypatch):
    with serving(people[:1], tmp_path) as served, served.open() as page:
        page.drawn(film[0])
        about = served.studio.cast[0].person.about
        monkeypatch.setitem(about, "consent", consent(days=-1))
        page.send(film[1])
        told = page.wait("problem")
        assert told["fatal"] and "it ended on" in told["what"]
        with pytest.raises(ConnectionClosed):
            while True:
                page.socket.recv(timeout=PATIENCE)


def test_a_page_can_make_nobody_without_a_run(served, film):
    with served.open() as page:
        page.ask("make", name="new", who="a", by="a", until="2099-01-01")
        assert page.wait("made")["problem"] == "no training run here"
