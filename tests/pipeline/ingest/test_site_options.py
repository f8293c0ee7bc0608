"""What is said about video sites: wrong values are told once, before the first video."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import loopback
import pytest
from fetching import LIMITS, fetch
from ingest_runs import options, sources
from list_files import write_file

from fsh.pipeline.ingest.run import ingest
from fsh.pipeline.ingest.site_options import SiteOptions
from fsh.pipeline.ingest.ytdlp import base_params
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent

COOKIES = "# Netscape HTTP Cookie File\n.host.org\tTRUE\t/\tTRUE\t0\tname\tsecret\n"


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ({"cookies": Path("no-cookies.txt")}, "no such cookie file"),
        ({"cookies": Path(__file__)}, "no cookies in this file"),
        ({"browser": "lynx"}, "unsupported browser"),
        ({"browser": "firefox:/nowhere"}, "cookies of firefox cannot be read"),
        ({"proxy": "proxy.org:8080"}, "not the URL of a proxy"),
        ({"proxy": "ftp://me:secret@proxy.org"}, "not the URL of a proxy"),
        ({"extra": "--nonsense"}, "no such option"),
        ({"extra": "'"}, "not a command's options"),
        ({"extra": "--help"}, "they end the command"),
        ({"extra": "https://host.org/a"}, "not a URL"),
        ({"extra": "--exec 'rm -rf x'"}, "postprocessors cannot be set"),
        ({"extra": "-o /etc/x"}, "outtmpl cannot be set"),
        ({"extra": "--cookies x"}, "cookiefile cannot be set.*--cookies"),
        ({"max_height": 0}, "largest height"),
    ],
)
def test_what_cannot_be_used_is_said_before_the_first_video(data, server, tmp_path, site, message):
    url = server.on("/a.mp4", loopback.status(404))
    with pytest.raises(FshError, match=message) as error:
        ingest([url], data, options(site=SiteOptions(**site)), Silent())
    assert "secret" not in str(error.value)
    assert not server.hits
    assert not data.root.exists()


def test_cookies_are_copied_for_the_user_alone(tmp_path):
    file = Path(write_file(tmp_path, "cookies.txt", COOKIES))
    SiteOptions(cookies=file).check()
    before = os.umask(0)
    try:
        params = base_params(LIMITS, SiteOptions(cookies=file), tmp_path / "..")
    finally:
        os.umask(before)
    copy = Path(params["cookiefile"])
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.read_text() == COOKIES
    copy.unlink()


def test_options_of_yt_dlp_reach_it_and_fsh_s_own_stay(tmp_path):
    extra = "--extractor-args youtube:player_client=tv -f 'best[height<=480]' --retries 9"
    params = base_params(LIMITS, SiteOptions(extra=extra), tmp_path)
    assert params["extractor_args"] == {"youtube": {"player_client": ["tv"]}}
    assert (params["format"], params["retries"]) == ("best[height<=480]", 9)
    assert (params["quiet"], params["cachedir"]) == (True, False)


def proxying(hits: list[str], body: bytes) -> loopback.Answer:
    """A proxy that answers itself, whatever host is asked for."""

    def answer(handler: loopback.Handler) -> None:
        hits.append(handler.path)
        handler.reply(200, body, Content_Type="video/mp4")

    return answer


@pytest.fixture
def proxy(server, clips):
    hits: list[str] = []
    server.on("http://93.184.216.34/a.mp4", proxying(hits, (clips / "0.mp4").read_bytes()))
    return server.url, hits


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_proxy_is_used_for_others_and_never_for_this_machine(
    fetcher, server, clips, proxy, monkeypatch, how
):
    url, hits = proxy
    if how == "environment":
        monkeypatch.setenv("http_proxy", url)
    else:
        fetcher.options = options(site=SiteOptions(proxy=url), limits=LIMITS)
    assert fetch(fetcher, "http://93.184.216.34/a.mp4").state == "stored"
    assert hits == ["http://93.184.216.34/a.mp4"]
    assert fetch(fetcher, server.on("/b.mp4", loopback.media(clips / "1.mp4"))).state == "stored"
    assert fetch(fetcher, f"http://localhost:{server.server_port}/b.mp4").state == "stored"
    assert len(hits) == 1


def test_a_proxy_that_is_not_there_is_a_failure_of_the_network(data, clips):
    gone = SiteOptions(proxy="socks5h://127.0.0.1:9")
    chosen = options(site=gone, limits=LIMITS, attempts=1)
    ingest(["http://93.184.216.34/a.mp4"], data, chosen, Silent())
    (source,) = sources(data)
    assert (source.error_class, source.error_code) == ("transient", "network")


def test_the_agent_is_a_plain_product(fetcher, server, clips):
    seen = []

    def answer(handler: loopback.Handler) -> None:
        seen.append(handler.headers["User-Agent"])
        handler.reply(200, (clips / "0.mp4").read_bytes(), Content_Type="video/mp4")

    fetch(fetcher, server.on("/a.mp4", answer))
    assert seen[0].split("/")[0] == "fsh"
    assert "http" not in seen[0] and " " not in seen[0]
