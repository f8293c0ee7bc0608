"""One video from a direct link: what comes of every kind of answer."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from dataclasses import replace
from pathlib import Path

import ingest_media as media
import loopback
import pytest
from fetching import LIMITS, STRICT, cause, fetch, fetcher_in

from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.download import NotDirect, download
from fsh.pipeline.ingest.failures import Interrupted
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.disk import NoRoom


def test_a_direct_link_is_stored_under_its_contents_name(fetcher, server, media_files):
    url = server.on("/some%20title/../a.exe", loopback.media(media_files / "a.mp4", "text/plain"))
    outcome = fetch(fetcher, url, identity="Ann")
    sha256 = hashlib.sha256((media_files / "a.mp4").read_bytes()).hexdigest()
    assert outcome.video_id == f"v-{sha256[:16]}"
    assert outcome.path == f"videos/v-{sha256[:16]}.mp4"
    assert (outcome.sha256, outcome.state, outcome.license) == (sha256, "stored", "unknown")
    assert (outcome.width, outcome.height, outcome.audio_codec) == (96, 64, "aac")
    stored = fetcher.data.root / outcome.path
    assert stored.read_bytes() == (media_files / "a.mp4").read_bytes()
    assert [p.name for p in fetcher.data.videos.iterdir() if not p.name.startswith(".")] == [
        stored.name
    ]
    assert not list(fetcher.data.incoming.iterdir())


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_dead_links_are_permanent_and_asked_once(fetcher, server, code):
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.status(code)))
    assert cause(outcome) == ("failed", "permanent", f"http_{code}")
    assert len(server.hits["/a.mp4"]) == outcome.attempts == 1


def test_429_waits_as_long_as_the_host_asks(fetcher, server, media_files):
    busy = loopback.status(429, Retry_After="1")
    url = server.on("/a.mp4", loopback.in_turn(busy, loopback.media(media_files / "a.mp4")))
    outcome = fetch(fetcher, url)
    assert (outcome.state, outcome.attempts) == ("stored", 2)
    first, second = server.hits["/a.mp4"]
    assert second - first >= 1.0


def test_429_delays_all_workers_that_ask_the_host(fetcher, prober, server, media_files):
    server.on("/busy.mp4", loopback.status(429, Retry_After="1"))
    server.on("/a.mp4", loopback.media(media_files / "a.mp4"))
    other = fetcher_in(fetcher.data, prober, attempts=1)
    assert cause(fetch(other, server.url + "/busy.mp4")) == ("failed", "transient", "http_429")
    fetch(fetcher, server.url + "/a.mp4")
    assert server.hits["/a.mp4"][0] - server.hits["/busy.mp4"][0] >= 1.0


def test_a_too_slow_download_fails(fetcher, server):
    fetcher.options = replace(fetcher.options, limits=STRICT)
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.drip(600)))
    assert cause(outcome) == ("failed", "transient", "too_slow")  # at its end: "truncated"


def test_truncation_is_noticed_and_tried_again(fetcher, server, media_files):
    cut, whole = loopback.cut(media_files / "a.mp4", 0.9), loopback.media(media_files / "a.mp4")
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.in_turn(cut, whole)))
    assert (outcome.state, outcome.attempts) == ("stored", 2)
    outcome = fetch(fetcher, server.on("/b.mp4", cut))
    assert cause(outcome) == ("failed", "transient", "truncated")


def test_what_ends_early_of_unstated_length_is_tried_again(fetcher, server, media_files):
    cut = loopback.cut(media_files / "a.mp4", 0.5, stated=False)
    whole = loopback.cut(media_files / "a.mp4", 1, stated=False)
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.in_turn(cut, whole)))
    assert (outcome.state, outcome.attempts) == ("stored", 2)
    outcome = fetch(fetcher, server.on("/b.mp4", cut))
    assert cause(outcome) == ("failed", "transient", "truncated")
    assert "did not say how long" in outcome.error


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """A video whose container does not say how long it is."""
    return media.make(tmp_path_factory.mktemp("streams") / "a.ts", "-g", "5", seconds=4)


def test_a_host_that_states_no_length_is_asked_whether_more_follows(fetcher, server, stream):
    """Half a transport stream is a shorter one: only the host can tell."""
    cut = loopback.unmarked(stream, 0.5)
    assert cause(fetch(fetcher, server.on("/a.ts", cut))) == ("failed", "transient", "truncated")
    same = loopback.unmarked(stream, 0.5, ETag='"1"')
    outcome = fetch(fetcher, server.on("/b.ts", same))
    assert (outcome.state, outcome.attempts) == ("stored", 1)
    assert outcome.sha256 == file_sha256(stream)
    whole = fetch(fetcher, server.on("/c.ts", loopback.unmarked(stream, 1)))
    assert whole.state == "stored" and "unstated_length" not in whole.metadata
    unknown = fetch(fetcher, server.on("/d.ts", loopback.unmarked(stream, 0.5, ranges=False)))
    assert unknown.state == "stored" and "unstated_length" in unknown.metadata


@pytest.mark.parametrize("name", ["a.ts", "a.mp4"])
def test_chunks_without_the_last_one_are_not_all(fetcher, server, media_files, stream, name):
    path = stream if name == "a.ts" else media_files / name
    cut, whole = loopback.chunked(path, 0.7), loopback.chunked(path, 1)
    outcome = fetch(fetcher, server.on(f"/{name}", loopback.in_turn(cut, whole)))
    assert (outcome.state, outcome.attempts) == ("stored", 2)
    assert "unstated_length" not in outcome.metadata
    assert cause(fetch(fetcher, server.on(f"/b{name}", cut))) == (
        "failed", "transient", "truncated",
    )  # fmt: skip


def test_a_length_that_is_not_met_counts_for_any_container(fetcher, server, stream):
    outcome = fetch(fetcher, server.on("/a.ts", loopback.cut(stream, 0.5)))
    assert cause(outcome) == ("failed", "transient", "truncated")


def test_of_unstated_length_what_says_that_it_is_cut_is_tried_again(fetcher, server, tmp_path):
    """Above two thirds such a file counts for what is there, unless the rest may yet come."""
    path = media.make(tmp_path / "a.mkv", "-g", "5", seconds=8)
    cut = loopback.cut(path, 0.83, stated=False)
    whole = loopback.cut(path, 1, stated=False)
    outcome = fetch(fetcher, server.on("/a.mkv", loopback.in_turn(cut, cut, whole, whole)))
    assert (outcome.state, outcome.attempts) == ("stored", 2)


@pytest.mark.parametrize("headers", [{}, {"Transfer_Encoding": "identity"}])
def test_a_host_that_hangs_up_before_the_first_byte_is_tried_again(
    fetcher, server, media_files, headers
):
    """Nothing at all is no empty file unless the host says so; nor does "identity" mark an end."""

    def nothing(handler):
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.close_connection = True

    whole = loopback.media(media_files / "a.mp4")
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.in_turn(nothing, whole)))
    assert (outcome.state, outcome.attempts) == ("stored", 2)
    stated = fetch(fetcher, server.on("/b.mp4", lambda handler: handler.reply(200)))
    assert cause(stated) == ("failed", "permanent", "empty")


@pytest.mark.parametrize(
    "known", [{"ETag": '"1"'}, {"Last_Modified": "Mon, 02 Jan 2023 03:04:05 GMT"}]
)
def test_a_transfer_that_breaks_off_goes_on_where_it_was(fetcher, server, media_files, known):
    whole = media_files / "a.mp4"
    parts = loopback.breaking(whole, whole.stat().st_size // 5, **known)
    outcome = fetch(fetcher, server.on("/a.mp4", parts))
    assert (outcome.state, outcome.attempts) == ("stored", 1)
    assert outcome.sha256 == file_sha256(whole) and len(server.hits["/a.mp4"]) >= 5


def test_going_on_is_a_request_like_any_other(fetcher, server, media_files, monkeypatch):
    whole, turns = media_files / "a.mp4", []
    monkeypatch.setattr(fetcher.limiter, "acquire", turns.append)
    url = server.on("/a.mp4", loopback.breaking(whole, whole.stat().st_size // 5, ETag='"1"'))
    assert fetch(fetcher, url).state == "stored"
    assert len(turns) == len(server.hits["/a.mp4"]) >= 5 and len(set(turns)) == 1


def test_waiting_for_a_turn_is_no_slowness_of_the_hosts(server, media_files, tmp_path):
    now = [0.0]
    url = server.on("/a.mp4", loopback.breaking(media_files / "a.mp4", 2000, ETag='"1"'))
    received = download(
        url,
        tmp_path / "video",
        AddressRule(loopback=True),
        replace(STRICT, window_bytes=2**30),
        clock=lambda: now[0],
        before_next=lambda: now.__setitem__(0, now[0] + 60),
    )
    assert received.sha256 == file_sha256(media_files / "a.mp4") and now[0] > 60


def test_a_transfer_goes_on_only_with_the_same_file(fetcher, server, media_files):
    half = (media_files / "a.mp4").stat().st_size // 2
    nameless = loopback.breaking(media_files / "a.mp4", half)
    outcome = fetch(fetcher, server.on("/a.mp4", nameless))
    assert cause(outcome) == ("failed", "transient", "truncated")
    other = loopback.breaking(media_files / "a.mp4", half, other_after=1, ETag='"1"')
    outcome = fetch(fetcher, server.on("/b.mp4", other))
    assert (outcome.state, outcome.attempts) == ("stored", 2)
    assert outcome.sha256 == file_sha256(media_files / "a.mp4")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_a_host_packs_unasked_is_unpacked(fetcher, server, media_files, encoding):
    answer = loopback.packed(media_files / "a.mp4", encoding)
    outcome = fetch(fetcher, server.on("/a.mp4", answer))
    assert outcome.state == "stored" and outcome.sha256 == file_sha256(media_files / "a.mp4")
    cut = loopback.packed(media_files / "b.mkv", encoding, 0.5)
    assert cause(fetch(fetcher, server.on("/b.mkv", cut))) == ("failed", "transient", "truncated")


def test_a_host_whose_certificate_nobody_vouches_for(
    fetcher, server, media_files, tmp_path, monkeypatch
):
    """As behind a proxy that opens what passes it: its certificates have to be named."""
    url = loopback.with_tls(server, tmp_path).on("/a.mp4", loopback.media(media_files / "a.mp4"))
    assert url.startswith("https://")
    outcome = fetch(fetcher, url)
    assert cause(outcome) == ("failed", "transient", "certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    assert fetch(fetcher, url).state == "stored"


@pytest.mark.parametrize("answer", ["plain", "silence"])
def test_a_port_that_speaks_no_tls(fetcher, server, media_files, answer):
    """Transient: whoever answers there may be another one tomorrow."""
    url = server.on("/a.mp4", loopback.media(media_files / "a.mp4")).replace("http:", "https:")
    if answer == "silence":
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"https://127.0.0.1:{closed.getsockname()[1]}/a.mp4"
            assert cause(fetch(fetcher, url)) == ("failed", "transient", "network")
        return
    assert cause(fetch(fetcher, url)) == ("failed", "transient", "network")


def test_redirects_that_lead_nowhere_are_told_as_such(fetcher, server):
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.redirect("/a.mp4")))
    assert cause(outcome) == ("failed", "permanent", "http_302")
    assert "leads nowhere" in outcome.error


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
def test_redirects_to_private_addresses_and_other_schemes_are_refused(
    fetcher, server, target, code
):
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.redirect(target)))
    assert cause(outcome) == ("refused", "refused", code)


def test_a_list_from_the_net_allows_no_private_address_and_no_local_path(
    fetcher, server, media_files
):
    url = server.on("/a.mp4", loopback.media(media_files / "a.mp4"))
    for wanted, code in [(url, "private_address"), (str(media_files / "a.mp4"), "local_path")]:
        outcome = fetch(fetcher, wanted, trusted=False)
        assert cause(outcome) == ("refused", "refused", code)
    assert not server.hits


def test_a_redirect_within_the_users_own_host_is_followed(fetcher, server, media_files):
    server.on("/b.mkv", loopback.media(media_files / "b.mkv"))
    outcome = fetch(fetcher, server.on("/a.mp4", loopback.redirect("/b.mkv")))
    assert outcome.path.endswith(".mkv")
    assert json.loads(outcome.metadata)["final_url"].endswith("/b.mkv")


@pytest.mark.parametrize(
    ("name", "code"), [("image.png", "not_media"), ("sound.m4a", "no_video"), (None, "empty")]
)
def test_only_videos_are_stored(fetcher, server, media_files, name, code):
    answer = loopback.media(media_files / name) if name else loopback.page("")
    outcome = fetch(fetcher, server.on("/a.mp4", answer))
    assert cause(outcome) == ("failed", "permanent", code)
    assert len(server.hits["/a.mp4"]) == 1


def test_a_size_over_the_limit_is_refused_before_the_download(fetcher, server):
    fetcher.options = replace(fetcher.options, limits=replace(LIMITS, max_bytes=1000))
    big = loopback.status(200, Content_Length=str(2**40))
    assert cause(fetch(fetcher, server.on("/a", big))) == ("refused", "refused", "too_large")


def test_a_port_without_a_server_is_a_network_failure(fetcher):
    outcome = fetch(fetcher, "http://127.0.0.1:1/a.mp4")
    assert cause(outcome) == ("failed", "transient", "network")
    assert outcome.attempts == 2


def test_a_stopped_run_ends_a_download(fetcher, server):
    stop = threading.Event()
    fetcher.stopped = stop.is_set
    server.on("/a.mp4", lambda handler: (stop.set(), loopback.drip(600)(handler))[0])
    with pytest.raises(Interrupted):
        fetch(fetcher, server.url + "/a.mp4")


def test_a_full_disk_ends_a_download(server, media_files):
    url = server.on("/a.mp4", loopback.media(media_files / "a.mp4"))
    with pytest.raises(NoRoom):
        download(url, Path("/dev/full"), AddressRule(loopback=True), LIMITS)


def test_pages_are_recognised_by_their_first_bytes(server, tmp_path):
    for body in (b"  <!DOCTYPE html>", b"<HTML><body>", b"#EXTM3U\n"):
        url = server.on("/a.mp4", lambda h, body=body: h.reply(200, body, Content_Type="video/mp4"))
        with pytest.raises(NotDirect):
            download(url, tmp_path / "a", AddressRule(loopback=True), LIMITS)
