"""One video from a real server or disk: what comes of every kind of answer."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import ingest_media as media
import loopback
import pytest

from fsh.pipeline.ingest import failures, sites
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.download import Limits, NotDirect, download
from fsh.pipeline.ingest.failures import DiskFull, Failure
from fsh.pipeline.ingest.fetch import Fetcher, Interrupted, Settings, is_creative_commons
from fsh.pipeline.ingest.journal import Job, Outcome
from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.ingest.rate_limit import Governor
from fsh.pipeline.ingest.requests import Request
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.layout import DataFolder

LIMITS = Limits(timeout=3, window=0.4, window_bytes=2**12)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    media.make_with_sound(folder / "a.mp4", "-movflags", "+faststart", seconds=4)
    media.make(folder / "b.mkv")
    media.make(folder / "seg.ts", "-c:v", "libx264")
    media.make_image(folder / "image.png")
    media.make_sound(folder / "sound.m4a")
    return folder


@pytest.fixture(scope="module")
def prober():
    prober = Prober()
    yield prober
    prober.sandbox.close()


@pytest.fixture
def server():
    with loopback.serving() as server:
        yield server


@pytest.fixture
def fetcher(tmp_path, prober) -> Fetcher:
    data = DataFolder(tmp_path / "data")
    data.sources.parent.mkdir(parents=True)
    governor = Governor(data.sources.parent / "governor.json", {}, 0)
    return Fetcher(data, Settings(limits=LIMITS, attempts=2), governor, Tombstones(), prober)


def fetch(fetcher: Fetcher, url: str, *, trusted: bool = True, **request) -> Outcome:
    request = Request(url, trusted=trusted, **request)
    return fetcher.fetch(Job(request.key, (request,)))


def cause(outcome: Outcome) -> tuple[str, str, str]:
    assert not outcome.path
    return outcome.state, outcome.error_class, outcome.error_code


def test_a_direct_link_is_stored_under_its_contents_name(fetcher, server, clips):
    url = server.on("/some%20title/../a.exe", loopback.media(clips / "a.mp4", "text/plain"))
    outcome = fetch(fetcher, url, identity="Ann")
    sha256 = hashlib.sha256((clips / "a.mp4").read_bytes()).hexdigest()
    assert outcome.video_id == f"v-{sha256[:16]}"
    assert outcome.path == f"videos/v-{sha256[:16]}.mp4"
    assert (outcome.sha256, outcome.state, outcome.license) == (sha256, "stored", "unknown")
    assert (outcome.width, outcome.height, outcome.audio_codec) == (96, 64, "aac")
    stored = fetcher.data.root / outcome.path
    assert stored.read_bytes() == (clips / "a.mp4").read_bytes()
    assert [p.name for p in fetcher.data.videos.iterdir() if not p.name.startswith(".")] == [
        stored.name
    ]
    assert not list((fetcher.data.videos / ".incoming").iterdir())


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_dead_links_are_permanent_and_asked_once(fetcher, server, code):
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.status(code)))
    assert cause(outcome) == ("failed", "permanent", f"http_{code}")
    assert len(server.hits["/a.mp4"]) == outcome.attempts == 1


def test_429_waits_as_long_as_the_host_asks(fetcher, server, clips):
    busy = loopback.status(429, Retry_After="1")
    url = server.on("/a.mp4", loopback.in_turn(busy, loopback.media(clips / "a.mp4")))
    outcome = fetch(fetcher, url)
    assert (outcome.state, outcome.attempts) == ("stored", 2)
    first, second = server.hits["/a.mp4"]
    assert second - first >= 1.0


def test_429_holds_up_all_workers_of_the_host(fetcher, server, clips):
    server.on("/busy.mp4", loopback.status(429, Retry_After="1"))
    server.on("/a.mp4", loopback.media(clips / "a.mp4"))
    one = replace(fetcher.settings, attempts=1)
    busy = Fetcher(fetcher.data, one, fetcher.governor, Tombstones(), Prober())
    assert cause(fetch(busy, server.url + "/busy.mp4")) == ("failed", "transient", "http_429")
    fetch(fetcher, server.url + "/a.mp4")
    assert server.hits["/a.mp4"][0] - server.hits["/busy.mp4"][0] >= 1.0


def test_a_drip_is_given_up_on(fetcher, server):
    began = time.monotonic()
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.drip(30)))
    assert cause(outcome) == ("failed", "transient", "too_slow")
    assert time.monotonic() - began < 15


def test_truncation_is_noticed_and_tried_again(fetcher, server, clips):
    cut, whole = loopback.cut(clips / "a.mp4", 0.9), loopback.media(clips / "a.mp4")
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.in_turn(cut, whole)))
    assert (outcome.state, outcome.attempts) == ("stored", 2)
    outcome = fetch(fetcher, server.on("/b.mp4", cut))
    assert cause(outcome) == ("failed", "transient", "truncated")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("http://10.0.0.1/a.mp4", "private_address"),
        ("http://169.254.169.254/latest/meta-data/", "private_address"),
        ("http://[fd00::1]/a.mp4", "private_address"),
        ("file:///etc/passwd", "scheme"),
        ("ftp://127.0.0.1/a.mp4", "scheme"),
    ],
)
def test_redirects_out_of_bounds_are_refused(fetcher, server, target, code):
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.redirect(target)))
    assert cause(outcome) == ("refused", "refused", code)


def test_a_list_from_the_net_opens_nothing_private(fetcher, server, clips):
    url = server.on("/a.mp4", loopback.media(clips / "a.mp4"))
    for wanted, code in [(url, "private_address"), (str(clips / "a.mp4"), "local_path")]:
        outcome = fetch(fetcher, wanted, trusted=False)
        assert cause(outcome) == ("refused", "refused", code)
    assert not server.hits


def test_a_redirect_within_the_users_own_host_is_followed(fetcher, server, clips):
    server.on("/b.mkv", loopback.media(clips / "b.mkv"))
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.redirect("/b.mkv")))
    assert outcome.path.endswith(".mkv")
    assert json.loads(outcome.metadata)["final_url"].endswith("/b.mkv")


@pytest.mark.parametrize(
    ("name", "code"), [("image.png", "not_media"), ("sound.m4a", "no_video"), (None, "empty")]
)
def test_only_videos_get_in(fetcher, server, clips, name, code):
    answer = loopback.media(clips / name) if name else loopback.page("")
    outcome = fetch(fetcher, server.on("/a.mp4", answer))
    assert cause(outcome) == ("failed", "permanent", code)
    assert len(server.hits["/a.mp4"]) == 1


def test_absurd_sizes_are_refused_before_they_arrive(fetcher, server):
    fetcher.settings = replace(fetcher.settings, limits=replace(LIMITS, max_bytes=1000))
    big = loopback.status(200, Content_Length=str(2**40))
    assert cause(fetch(fetcher, server.on("/a", big))) == ("refused", "refused", "too_large")


@pytest.mark.parametrize("port", [1])
def test_nobody_listens(fetcher, port):
    outcome = fetch(fetcher, f"http://127.0.0.1:{port}/a.mp4")
    assert cause(outcome) == ("failed", "transient", "network")
    assert outcome.attempts == 2


# yt-dlp's own generic extractor, on pages of the loopback server.


def video_page(*sources: str) -> loopback.Answer:
    videos = "".join(f'<video src="{source}"></video>' for source in sources)
    return loopback.page(f"<!doctype html><title>../../evil</title>{videos}")


def test_a_page_with_one_video(fetcher, server, clips):
    server.on("/a.mp4", loopback.media(clips / "a.mp4"))
    outcome = fetch(fetcher, server.on("/page", video_page("/a.mp4")))
    assert outcome.state == "stored"
    assert outcome.path == f"videos/{outcome.video_id}.mp4"
    metadata = json.loads(outcome.metadata)
    assert metadata["extractor"] in ("html5", "generic")
    assert "formats" not in metadata and "url" not in metadata


@pytest.mark.parametrize(
    ("sources", "state", "code"),
    [
        ((), "failed", "not_media"),
        (("/a.mp4", "/b.mkv"), "failed", "several_videos"),
        (("/gone.mp4",), "failed", "http_404"),
        (("http://10.1.2.3/a.mp4",), "refused", "private_address"),
        (("/away.mp4",), "refused", "private_address"),
    ],
)
def test_pages_without_a_video_to_have(fetcher, server, clips, sources, state, code):
    server.on("/a.mp4", loopback.media(clips / "a.mp4"))
    server.on("/b.mkv", loopback.media(clips / "b.mkv"))
    server.on("/away.mp4", loopback.redirect("http://192.168.77.1/a.mp4"))
    outcome = fetch(fetcher, server.on("/page", video_page(*sources)))
    assert (outcome.state, outcome.error_code) == (state, code)


def hls(*segments: str) -> loopback.Answer:
    body = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
    body += "".join(f"#EXTINF:1,\n{name}\n" for name in segments) + "#EXT-X-ENDLIST\n"
    kind = "application/vnd.apple.mpegurl"
    return lambda handler: handler.reply(200, body.encode(), Content_Type=kind)


def test_a_stream_of_segments(fetcher, server, clips):
    server.on("/seg.ts", loopback.media(clips / "seg.ts", "video/mp2t"))
    outcome = fetch(fetcher, server.on("/list.m3u8", hls("/seg.ts")))
    assert outcome.state == "stored", outcome.error
    assert outcome.width == 96


@pytest.mark.parametrize("segment", ["file:///etc/passwd", "http://10.0.0.7/seg.ts"])
def test_a_stream_that_leads_elsewhere(fetcher, server, segment):
    outcome = fetch(fetcher, server.on("/list.m3u8", hls(segment)))
    assert outcome.state == "refused", outcome


def test_the_videos_of_a_page_of_embeds(server, tmp_path):
    """A playlist's entries come out as YouTube URLs; yt-dlp finds them, nothing else is asked."""
    ids = ["dQw4w9WgXcQ", "9bZkp7q19f0"]
    frames = "".join(f'<iframe src="https://www.youtube.com/embed/{i}"></iframe>' for i in ids * 2)
    url = server.on("/page", loopback.page(f"<html><body>{frames}</body></html>"))
    rule = AddressRule.for_url(url, trusted=True)
    found = sites.expand(url, rule, LIMITS, tmp_path)
    assert [link[-11:] for link in found] == ids
    with pytest.raises(Failure, match=r"no videos|Unsupported"):
        nothing = server.on("/a", loopback.page("<html>nothing</html>"))
        sites.expand(nothing, rule, LIMITS, tmp_path)


def test_metadata_is_sanitised():
    kept = sites.sanitize(
        {
            "id": "x",
            "title": "t" * 5000,
            "tags": ["a", 1],
            "duration": 3.5,
            "formats": [{"url": "https://signed"}],
            "http_headers": {"Cookie": "secret"},
            "url": "https://signed",
            "uploader": None,
        }
    )
    assert kept == {"id": "x", "title": "t" * 2000, "tags": ["a", "1"], "duration": 3.5}


# Local files.


def test_a_local_file_is_linked_or_copied(fetcher, clips):
    outcome = fetch(fetcher, str(clips / "a.mp4"))
    stored = fetcher.data.root / outcome.path
    assert stored.is_symlink() and stored.resolve() == clips / "a.mp4"
    fetcher.settings = replace(fetcher.settings, copy=True)
    assert fetch(fetcher, str(clips / "a.mp4")).path == outcome.path
    assert not stored.is_symlink() and stored.read_bytes() == (clips / "a.mp4").read_bytes()
    fetcher.settings = replace(fetcher.settings, copy=False)
    fetch(fetcher, str(clips / "a.mp4"))
    assert not stored.is_symlink()


def test_local_paths_that_are_no_videos(fetcher, clips, tmp_path):
    os.mkfifo(tmp_path / "fifo.mp4")
    for path, code in [
        (tmp_path / "none.mp4", "missing"),
        (tmp_path / "fifo.mp4", "not_a_file"),
        (tmp_path, "not_a_file"),
        (Path("/dev/zero"), "not_a_file"),
        (clips / "image.png", "not_media"),
    ]:
        assert cause(fetch(fetcher, str(path))) == ("failed", "permanent", code)


# Licences, erasure, a stopped run, a full disk.


def test_only_creative_commons(fetcher, clips):
    fetcher.settings = replace(fetcher.settings, license="cc")
    path = str(clips / "a.mp4")
    outcome = fetch(fetcher, path)
    assert cause(outcome) == ("refused", "refused", "license")
    assert "unknown" in outcome.error
    assert not list(fetcher.data.videos.glob("v-*"))
    assert fetch(fetcher, path, license="CC BY 4.0").license == "CC BY 4.0"


@pytest.mark.parametrize(
    ("license", "admitted"),
    [
        ("Creative Commons Attribution license (reuse allowed)", True),
        ("https://creativecommons.org/licenses/by/4.0/", True),
        ("CC-BY-SA", True),
        ("CC0", True),
        ("unknown", False),
        ("Standard YouTube License", False),
        ("accbylaw", False),
    ],
)
def test_what_counts_as_creative_commons(license, admitted):
    assert is_creative_commons(license) is admitted


def test_what_was_erased_stays_away(fetcher, server, clips):
    url = server.on("/a.mp4", loopback.media(clips / "a.mp4"))
    sha256 = hashlib.sha256((clips / "a.mp4").read_bytes()).hexdigest()
    for mark in ({"key": url}, {"identity": "Ann"}, {"sha256": sha256}):
        fetcher.tombstones = Tombstones().add(fetcher.data, **mark)
        outcome = fetch(fetcher, url, identity="Ann")
        assert cause(outcome) == ("refused", "refused", "erased")
    assert len(server.hits["/a.mp4"]) == 1
    assert not list(fetcher.data.videos.glob("v-*"))


def test_a_stopped_run_leaves_a_download(fetcher, server):
    stop = threading.Event()
    fetcher.stopped = stop.is_set
    fetcher.settings = replace(fetcher.settings, limits=Limits())
    server.on("/a.mp4", lambda handler: (stop.set(), loopback.drip(10)(handler))[0])
    with pytest.raises(Interrupted):
        fetch(fetcher, server.url + "/a.mp4")


def test_a_full_disk_ends_a_download(server, clips):
    url = server.on("/a.mp4", loopback.media(clips / "a.mp4"))
    with pytest.raises(DiskFull):
        download(url, Path("/dev/full"), AddressRule(loopback=True), LIMITS)


def test_pages_are_told_from_media_by_their_bytes(server, tmp_path):
    for body in (b"  <!DOCTYPE html>", b"<HTML><body>", b"#EXTM3U\n"):
        url = server.on("/a.mp4", lambda h, body=body: h.reply(200, body, Content_Type="video/mp4"))
        with pytest.raises(NotDirect):
            download(url, tmp_path / "a", AddressRule(loopback=True), LIMITS)


def test_the_remedies_are_for_known_causes():
    assert {"bot_wall", "no_js_runtime"} <= failures.REMEDIES.keys()
