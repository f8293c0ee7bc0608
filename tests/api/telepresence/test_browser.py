"""The page in a real headless Chromium, whose camera is a recorded clip."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from browser import PATIENCE, Browser, Page, browser, chromium
from live_people import NETWORK, SPEC, photo_of, save_people, talking, write_mjpeg
from live_server import LiveCommand
from tiny_run import Told, tiny_config, tiny_folder

import fsh
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.inputs.live_face import FaceFollower
from fsh.schemas.faces.landmarks import mouth_opening
from fsh.trainer.person.person import Person
from fsh.trainer.training.loop import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A working folder: two people, a run, and a clip for the camera."""
    if chromium() is None:
        pytest.skip("no Chromium here: apt install chromium")
    root = tmp_path_factory.mktemp("live")
    save_people(root / "people")
    frames = talking(2, photo_of(root))
    write_mjpeg(root / "camera.mjpeg", frames)
    data = tiny_folder(root / "data", spec=SPEC, people=2, frames=3, samples=1, shards=1)
    train(data, root / "runs" / "nano", tiny_config(steps=1, network=NETWORK), Told())
    return root


@pytest.fixture(scope="module")
def command(place) -> Iterator[LiveCommand]:
    made = LiveCommand("--person", "people/ada", "--person", "people/bea", cwd=place)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def chrome(place, command) -> Iterator[Browser]:
    with browser(place / "profile", place / "camera.mjpeg") as started:
        yield started


@pytest.fixture(scope="module")
def page(chrome, command) -> Page:
    opened = chrome.tab(command.url)
    opened.wait("state.shown > 5")
    return opened


def drawing(page: Page) -> np.ndarray:
    """What the page shows, uint8 (H, W, 3) RGB."""
    url = page.run("document.getElementById('drawing').toDataURL('image/png')")
    content = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


def likeness(picture: np.ndarray, folder: Path) -> float:
    """Mean difference from a person's photo, gray levels."""
    photo = Person.load(folder).references.pictures[0].permute(1, 2, 0).numpy() * 127.5 + 127.5
    return float(np.abs(picture.astype(float) - photo).mean())


def press_until(page: Page, key: str, code: str) -> None:
    page.key(key)
    page.wait(code)


def test_frames_come_back_and_are_the_persons(page, place):
    picture = drawing(page)
    assert picture.shape == (256, 256, 3)
    own, other = (likeness(picture, place / "people" / name) for name in ("ada", "bea"))
    assert own + 10 < other
    assert "AI-generated" in page.run("document.querySelector('#stage figcaption').innerText")
    page.wait("state.speed && state.speed.shown > 5 && state.speed.p50 > 0")
    texts = page.run("['fps', 'p50', 'p95', 'dropped'].map(n => +document.getElementById(n)"
                     ".textContent)")  # fmt: skip
    assert texts[0] > 0 and texts[1] > 0 and texts[2] >= texts[1] and texts[3] >= 0
    assert page.console == []
    names = page.run("performance.getEntriesByType('resource').map(e => e.name)")
    assert all(name.startswith(page.run("location.origin")) for name in names)


def test_the_mouth_follows_the_clips(page):
    follower = FaceFollower(load_backend("mediapipe"))
    driven, drawn = [], []
    for at in range(24):
        before = page.run("state.shown")
        page.wait(f"state.shown > {before}")
        shown = page.run(
            "JSON.stringify([state.points, document.getElementById('drawing').toDataURL()])"
        )
        points, url = json.loads(shown)
        content = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
        picture = np.ascontiguousarray(cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1])
        found = follower.next(picture, float(at)).face
        if points and found is not None:
            driven.append(mouth_opening(np.array(points)[None])[0])
            drawn.append(mouth_opening(found.points)[0])
    assert len(drawn) > 15 and np.ptp(driven) > 0.1
    assert np.corrcoef(driven, drawn)[0, 1] > 0.7
    assert np.ptp(drawn) > 0.5 * np.ptp(driven)


def test_keys_work(page, place):
    before = page.run("state.next")
    press_until(page, "2", "document.getElementById('drawing').dataset.person === '1'")
    assert page.run("state.next") - before < 20
    picture = drawing(page)
    own, other = (likeness(picture, place / "people" / name) for name in ("bea", "ada"))
    assert own + 10 < other
    press_until(page, "1", "document.getElementById('drawing').dataset.person === '0'")
    page.key("9")  # nobody
    pressed = "document.getElementById('{}').getAttribute('aria-pressed') === '{}'"
    ink = "lines.getImageData(0, 0, overlay.width, overlay.height).data.some(v => v)"
    press_until(page, "l", pressed.format("landmarks", "true"))
    page.wait(ink)
    press_until(page, "l", f"!({ink})")
    press_until(page, "m", pressed.format("mirror", "false"))
    press_until(page, "m", pressed.format("mirror", "true"))
    press_until(page, "v", "document.querySelector('main.compare') !== null")
    press_until(page, "v", "document.querySelector('main.compare') === null")
    press_until(page, "c", "document.getElementById('news').textContent.includes('neutral')")
    press_until(page, "a", "document.getElementById('news').textContent.includes('by itself')")
    press_until(page, "f", pressed.format("freeze", "true"))
    end, before, shown = time.monotonic() + PATIENCE, -1, page.run("state.shown")
    while shown > before and time.monotonic() < end:  # what was on its way still comes
        time.sleep(1)
        before, shown = shown, page.run("state.shown")
    time.sleep(1)
    assert page.run("state.shown") == shown
    press_until(page, "f", pressed.format("freeze", "false"))
    page.wait(f"state.shown > {shown}")
    assert page.console == []


def test_a_recording_has_sound_and_is_signed(page, place):
    begun = time.monotonic()
    press_until(page, "r", "state.recording")
    page.wait(f"state.shown > {page.run('state.shown') + 20}")
    time.sleep(2)
    page.key("r")
    told = page.wait("document.getElementById('news').textContent.startsWith('Recorded') && "
                     "document.getElementById('news').textContent")  # fmt: skip
    took = time.monotonic() - begun
    (film,) = (place / "recordings").glob("*.mp4")
    assert f"{film.relative_to(place)}" in told and "with sound" in told
    checked = fsh.verify(film)
    assert checked.c2pa == "valid" and checked.intact
    assert checked.consent["who"] == "Ada"
    with av.open(str(film)) as file:
        sound = [float(f.pts * f.time_base) for f in file.decode(audio=0)]
    with av.open(str(film)) as file:
        times = [float(f.pts * f.time_base) for f in file.decode(video=0)]
    assert 1.0 < times[-1] < took and abs(sound[-1] - times[-1]) < max(1, took / 3)
    # Marked: the page's film is what was shown.
    assert checked.watermark


def test_a_reload_and_a_second_tab_work(page, chrome, command):
    page.call("Page.reload")
    page.wait("state.shown > 3")
    second = chrome.tab(command.url)
    second.wait("state.shown > 3")
    press_until(second, "2", "document.getElementById('drawing').dataset.person === '1'")
    # The first is hidden behind it, and goes on as its own person.
    shown = page.run("state.shown")
    page.wait(f"state.shown > {shown + 3}")
    assert page.run("document.getElementById('drawing').dataset.person") == "0"
    second.call("Page.close")


def test_a_page_of_another_origin_gets_nothing(chrome, command, tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title>")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chrome.tab(f"http://127.0.0.1:{server.server_port}/")
        page.wait("document.title === 'elsewhere'")
        socket = command.url.replace("http", "ws", 1) + "socket"
        got = page.run(
            f"""(async () => {{
              const got = {{}};
              got.fetched = await fetch({command.url!r}).then(r => r.text(), () => null);
              got.blind = await fetch({command.url!r}, {{mode: "no-cors"}})
                .then(r => r.text(), () => null);
              got.socket = await new Promise(done => {{
                const socket = new WebSocket({socket!r});
                socket.onopen = () => done("open");
                socket.onerror = () => done("refused");
              }});
              const frame = document.createElement("iframe");
              frame.src = {command.url!r};
              document.body.append(frame);
              await new Promise(done => {{ frame.onload = done; setTimeout(done, 3000); }});
              got.framed = frame.contentDocument?.body?.innerText ?? null;
              return got;
            }})()"""
        )
        page.call("Page.close")
        server.shutdown()
    assert not any(got[key] for key in ("fetched", "blind", "framed"))
    assert got["socket"] == "refused"


def test_a_new_person_is_made_from_the_page_and_is_live(page, place):
    page.call("Page.bringToFront")
    press_until(page, "n", "document.getElementById('making').open")
    page.wait("document.getElementById('mirror-video').videoWidth > 0")
    page.run("document.activeElement.blur()")
    for taken in range(8):
        page.key(" ")
        page.wait(f"photos.taken === {taken + 1}")
    fill = "document.getElementById('{}').value = '{}';"
    begin = "document.getElementById('begin').disabled"
    page.run("".join(fill.format(n, "cia") for n in ("name", "consent-who", "consent-by")))
    page.run("guide()")
    assert page.run(begin)  # not without consent
    page.run("document.getElementById('agreed').click()")
    page.run("document.getElementById('begin').click()")
    page.wait("document.getElementById('drawing').dataset.person === '2'", 900)
    card = json.loads((place / "people" / "cia" / "person.json").read_text())["about"]
    assert card["consent"]["scope"] == ["animate", "personalize"]
    assert 4 < len(card["photo_sha256"]) <= 8  # the clip is short: two may be the same frame
    picture = drawing(page)
    assert picture.shape == (256, 256, 3) and picture.std() > 20
    assert not list(place.glob("**/fsh-photos-*"))


def test_killing_the_browser_frees_everything_and_ctrl_c_ends_in_order(chrome, page, command):
    held = command.tasks
    chrome.kill()
    end = time.monotonic() + PATIENCE
    while command.tasks > held - 2:  # the two threads of the page's session
        assert time.monotonic() < end, command.tasks
        time.sleep(0.1)
    report = command.stop()
    assert report["frames"] > 50 and report["fps"] > 0 and report["p50"] > 0
