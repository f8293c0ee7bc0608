"""Videos on web pages: yt-dlp's own generic extractor on pages of the loopback server."""

from __future__ import annotations

import json

import loopback
import pytest
from fetching import LIMITS, fetch

from fsh.pipeline.ingest import failures, sites
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.failures import Failure


def video_page(*sources: str) -> loopback.Answer:
    videos = "".join(f'<video src="{source}"></video>' for source in sources)
    return loopback.page(f"<!doctype html><title>../../evil</title>{videos}")


def test_a_page_with_one_video(fetcher, server, media_files):
    server.on("/a.mp4", loopback.media(media_files / "a.mp4"))
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
def test_pages_without_exactly_one_video_that_may_be_fetched(
    fetcher, server, media_files, sources, state, code
):
    server.on("/a.mp4", loopback.media(media_files / "a.mp4"))
    server.on("/b.mkv", loopback.media(media_files / "b.mkv"))
    server.on("/away.mp4", loopback.redirect("http://192.168.77.1/a.mp4"))
    outcome = fetch(fetcher, server.on("/page", video_page(*sources)))
    assert (outcome.state, outcome.error_code) == (state, code)


def hls(*segments: str) -> loopback.Answer:
    body = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
    body += "".join(f"#EXTINF:1,\n{name}\n" for name in segments) + "#EXT-X-ENDLIST\n"
    kind = "application/vnd.apple.mpegurl"
    return lambda handler: handler.reply(200, body.encode(), Content_Type=kind)


def test_a_stream_of_segments(fetcher, server, media_files):
    server.on("/seg.ts", loopback.media(media_files / "seg.ts", "video/mp2t"))
    outcome = fetch(fetcher, server.on("/list.m3u8", hls("/seg.ts")))
    assert outcome.state == "stored", outcome.error
    assert outcome.width == 96


@pytest.mark.parametrize("segment", ["file:///etc/passwd", "http://10.0.0.7/seg.ts"])
def test_a_stream_with_segments_at_forbidden_addresses_is_refused(fetcher, server, segment):
    outcome = fetch(fetcher, server.on("/list.m3u8", hls(segment)))
    assert outcome.state == "refused", outcome


def test_the_videos_of_a_playlist(server, tmp_path):
    """Embedded videos come out as YouTube URLs; yt-dlp finds them, nothing else is asked."""
    ids = ["dQw4w9WgXcQ", "9bZkp7q19f0"]
    frames = "".join(f'<iframe src="https://www.youtube.com/embed/{i}"></iframe>' for i in ids * 2)
    url = server.on("/page", loopback.page(f"<html><body>{frames}</body></html>"))
    rule = AddressRule.for_url(url, trusted=True)
    found = sites.playlist_videos(url, rule, LIMITS, tmp_path)
    assert [link[-11:] for link in found] == ids
    with pytest.raises(Failure, match=r"no videos|Unsupported"):
        nothing = server.on("/a", loopback.page("<html>nothing</html>"))
        sites.playlist_videos(nothing, rule, LIMITS, tmp_path)


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


def test_the_causes_that_are_reported_with_a_remedy_have_one():
    assert {"bot_wall", "no_js_runtime"} <= failures.REMEDIES.keys()
