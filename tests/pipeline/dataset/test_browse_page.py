"""The page of ``fsh inspect`` in a real browser: alone, and served."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from browser import browser, chromium
from many_clips import FRAMES, write_clips_of

from fsh.clip_pages import _listen, clip_application
from fsh.pipeline.dataset.pages.contact_sheet import make_page
from fsh.pipeline.media.ffmpeg import binary
from fsh.schemas.progress import Silent
from fsh.schemas.throughput import RunWork, Throughput, Work

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium here")
DRAWN = "document.querySelectorAll('[data-drawn]').length"


@pytest.fixture(scope="module")
def tabs(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    command = [binary(), "-v", "error", "-f", "lavfi", "-i", "sine=400:d=0.16", "-f", "flac", "-"]
    sound = subprocess.run(command, capture_output=True, check=True).stdout
    return write_clips_of(tmp_path_factory.mktemp("data"), 100, sound=sound)


@contextmanager
def serving(data):
    """The address of the page's server, and the server."""
    listener = _listen("127.0.0.1", 0)
    config = uvicorn.Config(clip_application(data, "secret"), log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret/"
    finally:
        server.should_exit = True
        thread.join(240)
        listener.close()


def used(page) -> None:
    """The daily loop: look, tighten a filter, look at what goes, play, copy the command."""
    page.wait(f"{DRAWN} >= 60")
    assert page.run("el('told').textContent") == "90 of 101 rows would remain"
    page.run("set(known.thresholds.find((one) => one.name === 'min_sync'), 5)")
    page.wait("el('told').textContent.startsWith('45 of')")
    assert page.run("el('command').textContent") == "fsh shard --filter min_sync=5"
    assert "other_voice" in page.run("el('legend').textContent")
    page.run("el('words').value = 'person 19'; el('words').dispatchEvent(new Event('input'))")
    page.wait("el('found').textContent === '4 clips'")
    page.run("el('words').value = ''; el('words').dispatchEvent(new Event('input'))")
    page.wait("el('found').textContent === '45 clips'")
    page.run("el('sort').value = 'min_face'; el('sort').dispatchEvent(new Event('change'))")
    page.run("el('turn').click()")
    page.wait("el('clips').firstChild.dataset.clip.startsWith('v-0000000000000062')")
    page.key("v")
    page.wait("el('view').value === 'rejected' && el('found').textContent === '56 clips'")
    assert page.run("document.querySelectorAll('.clip.rejected .reason').length") >= 50
    page.key("v")
    page.wait("el('found').textContent === '45 clips'")
    page.run("el('clips').firstChild.click()")
    page.wait(f"Number(el('clips').firstChild.dataset.frame) >= {FRAMES - 2}")
    page.run("el('reset').click()")
    page.wait("el('command').textContent === 'fsh shard'")
    page.run("el('people').open = true")
    page.wait("document.querySelectorAll('.pair [data-drawn]').length >= 2")
    page.run("document.querySelector('.filter canvas').click()")
    page.wait("el('command').textContent.includes('--filter min_seconds=')")
    assert page.console == []


def test_the_page_alone(tabs, data, tmp_path):
    target = tmp_path / "inspect.html"
    counts = make_page(data, target, Silent())
    assert counts["clips_kept"] == 90 and counts["damaged"]["clips"] == 0
    text = target.read_text()
    assert "http://" not in text and "https://" not in text
    assert "default-src 'none'; base-uri" in text and "unsafe" not in text
    used(tabs.tab(target.as_uri()))


def test_the_page_draws_where_the_time_went(tabs, tmp_path):
    data = write_clips_of(tmp_path / "data", 5)
    make_page(data, tmp_path / "old.html", Silent())
    page = tabs.tab((tmp_path / "old.html").as_uri())
    page.wait(f"{DRAWN} >= 4")
    assert "not measured" in page.run("el('spent').textContent")
    cores = {"decode": 8.0, "landmarks": 4.0, "write": 1.0}
    work = Work(3, 60.0, 7, 9.0, cores)
    run = RunWork("2026-01-01T00:00:00+00:00", 2, {"spans": 7.0}, work, Work(), 7)
    Throughput().with_run(run).write(data.throughput)
    make_page(data, tmp_path / "inspect.html", Silent())
    with serving(data) as address:
        for where in ((tmp_path / "inspect.html").as_uri(), address):
            page = tabs.tab(where)
            page.wait(f"{DRAWN} >= 4")
            page.run("el('time').open = true")
            assert "7 clips, 13 core-seconds a minute" in page.run("el('spent').textContent")
            widths = "[...document.querySelectorAll('#spent i')].map((bar) => bar.offsetWidth)"
            decode, landmarks, write = page.run(widths)
            assert decode > 100 and abs(landmarks / decode - 0.5) < 0.02 and write < landmarks
            assert "2026-01-01" in page.run("el('spent').lastChild.textContent")
            assert page.console == []


def test_the_page_served_with_sound(tabs, data):
    with serving(data) as address:
        page = tabs.tab(address)
        used(page)
        played = "fetch('sound/v-0000000000000000_00000000_00').then((a) => a.arrayBuffer())"
        assert page.run(f"{played}.then((b) => b.byteLength)") > 10_000
        for wrong in ("clip/none", "clip/..%2f..%2fdataset.json", "../secret2/", "../"):
            assert page.run(f"fetch('{wrong}').then((a) => a.status)") == 404
        for question in (
            '"no"',
            "{}",
            '{"limits": {"min_face": "x"}}',
            '{"limits":{},"offset":-1}',
        ):
            asked = f"fetch('query', {{method: 'POST', body: '{question}'}})"
            assert page.run(f"{asked}.then((a) => a.status)") == 400


def test_a_label_is_never_markup(tabs, tmp_path):
    from dataclasses import replace

    from fsh.schemas.tables.parquet import read_clips, write_clips

    data = write_clips_of(tmp_path / "data", 5)
    evil = "</script><img src=x onerror=alert(1)>\u202e"
    write_clips([replace(c, identity=evil) for c in read_clips(data.clips)], data.clips)
    target = tmp_path / "page.html"
    make_page(data, target, Silent())
    assert target.read_text().count("</script>") == 3 and "\u202e" not in target.read_text()
    page = tabs.tab(target.as_uri())
    page.wait(f"{DRAWN} === 5")
    assert page.run("document.images.length") == 0 and page.console == []
    assert page.run("el('clips').textContent").startswith("</script><img")


def test_it_is_read_on_a_phone(tabs, data, tmp_path):
    target = tmp_path / "inspect.html"
    make_page(data, target, Silent(), limit=10)
    page = tabs.tab()
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=390,
        height=844,
        deviceScaleFactor=2,
        mobile=True,
    )
    page.open(target.as_uri())
    page.wait(f"{DRAWN} >= 1")
    assert page.run("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_five_thousand_clips_are_nearly_as_quick_as_five_hundred(tabs, tmp_path):
    """The best of several, in turn: the machine may be slow, or have other work."""
    first, moved = {}, {}
    for clips in (500, 5000):
        make_page(write_clips_of(tmp_path / str(clips), clips), page_of(tmp_path, clips), Silent())
        first[clips], moved[clips] = [], []
    for _ in range(4):
        for clips, seconds in first.items():
            page = tabs.tab()
            began = time.monotonic()
            page.open(page_of(tmp_path, clips).as_uri())
            page.wait(f"{DRAWN} > 0")
            seconds.append(time.monotonic() - began)
            moved[clips] += page.run(MOVES)
    few, many = (
        f"{clips} clips: first picture {min(first[clips]):.2f} s, slider {min(moved[clips]):.0f} ms"
        for clips in first
    )
    print(f"{few}; {many}")
    assert min(first[5000]) < 4 * min(first[500]) + 1, (few, many)
    assert min(moved[5000]) < 3 * min(moved[500]) + 25, (few, many)


def page_of(folder, clips: int):
    return folder / f"{clips}.html"


#: Milliseconds that the page takes for each of several moves of a filter's slider.
MOVES = """(async () => {
  const times = [], one = known.thresholds.find((one) => one.name === "min_sync");
  for (let n = 0; n < 20; n++) {
    const began = performance.now();
    set(one, n / 2);
    while (due !== null) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - began);
  }
  return times;
})()"""
