"""Only the wanted range of a long video: copied from its host, frame-exact afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ingest_media as media
import loopback
import numpy as np
import pytest
from fetching import LIMITS, fetch
from ingest_runs import options, sources
from ingest_runs import videos as stored_videos

from fsh.pipeline.dataset.spans.division import plan_spans
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.lists.requests import Request, ranges_alone
from fsh.pipeline.ingest.range_copy import RemoteStream, copy_range
from fsh.pipeline.ingest.run import ingest
from fsh.pipeline.media.decode import read_proxy
from fsh.schemas.progress import Silent

RULE = AddressRule(loopback=True)
#: Two seconds between keyframes, and frames that are decoded before those they follow.
_LONG_GROUPS = ("-g", "20", "-bf", "2", "-sc_threshold", "0")


@pytest.fixture(scope="module")
def long_video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return media.make_with_sound(path, "-c:v", "libx264", *_LONG_GROUPS, seconds=12)


def frames(path: Path) -> dict[float, np.ndarray]:
    """Second to picture of every frame."""
    return {round(time, 3): pixels.copy() for time, pixels in read_proxy(path, (96, 64), 0, 99)}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("wanted", [(5.3, 6.9), (0.0, 1.0), (4.0, 4.5), (10.9, 99.0)])
def test_every_frame_of_the_range_is_the_one_of_the_whole_video(
    server, long_video, tmp_path, suffix, wanted
):
    path = long_video
    if suffix != ".mp4":
        path = tmp_path / f"whole{suffix}"
        codecs = () if suffix == ".mkv" else ("-c:v", "libvpx", "-c:a", "libopus", "-g", "20")
        if suffix == ".mkv":
            media.remux(long_video, path)
        else:
            media.make_with_sound(path, *codecs, seconds=12)
    url = server.on("/v", loopback.in_parts(path))
    target = tmp_path / "range"
    begins = copy_range([RemoteStream(url)], target, RULE, LIMITS, wanted)
    assert wanted[0] - 2.01 <= begins <= wanted[0]
    whole, part = frames(path), frames(target)
    moved = {round(time + begins, 2): pixels for time, pixels in part.items()}
    inside = [time for time in whole if wanted[0] <= time <= wanted[1]]
    assert inside
    for time in inside:
        assert np.array_equal(moved[round(time, 2)], whole[time]), time
    assert max(part) < wanted[1] - begins + 1


def test_picture_and_sound_from_two_files_begin_together(server, long_video, tmp_path):
    picture, sound = tmp_path / "picture.mp4", tmp_path / "sound.m4a"
    media.remux(long_video, picture, "-an")
    media.remux(long_video, sound, "-vn")
    streams = [
        RemoteStream(server.on(f"/{path.name}", loopback.in_parts(path)))
        for path in (picture, sound)
    ]
    target = tmp_path / "range"
    begins = copy_range(streams, target, RULE, LIMITS, (6.5, 8.0))
    facts = media.probed(target)
    assert begins == 6.0
    assert facts.audio_codec == "aac"
    assert 1.9 <= facts.duration <= 2.8


def test_only_a_part_is_asked_for(server, tmp_path):
    path = media.make(
        tmp_path / "noise.mp4", "-vf", "noise=alls=90:allf=t", "-b:v", "4M", seconds=40
    )
    sent = []
    parts = loopback.in_parts(path)

    def counting(handler):
        reply = handler.reply
        handler.reply = lambda code, body=b"", **headers: (
            sent.append(len(body)),
            reply(code, body, **headers),
        )
        parts(handler)

    copy_range(
        [RemoteStream(server.on("/v", counting))], tmp_path / "range", RULE, LIMITS, (20, 21)
    )
    assert sum(sent) < path.stat().st_size / 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda path: loopback.media(path), "no_ranges"),
        (lambda path: loopback.status(404), "http_404"),
        (lambda path: loopback.status(503), "http_503"),
        (lambda path: loopback.in_parts(Path(__file__)), "not_media"),
        (lambda path: loopback.redirect("http://10.1.2.3/v"), "private_address"),
    ],
)
def test_a_host_that_gives_no_range(server, long_video, tmp_path, answer, code):
    url = server.on("/v", answer(long_video))
    with pytest.raises(Failure) as failure:
        copy_range([RemoteStream(url)], tmp_path / "range", RULE, LIMITS, (1, 2))
    assert failure.value.code == code


def test_a_range_behind_the_end(server, long_video, tmp_path):
    url = server.on("/v", loopback.in_parts(long_video))
    with pytest.raises(Failure, match="nothing between") as failure:
        copy_range([RemoteStream(url)], tmp_path / "range", RULE, LIMITS, (50, 60))
    assert failure.value.code == "empty_range"


def video_page(name: str) -> loopback.Answer:
    return loopback.page(f'<!doctype html><title>t</title><video src="{name}"></video>')


def test_a_list_of_ranges_of_one_page(server, long_video, data, tmp_path):
    server.on("/v.mp4", loopback.in_parts(long_video))
    page = server.on("/page", video_page("/v.mp4"))
    listing = tmp_path / "list.csv"
    listing.write_text(f"url,start,end,identity\n{page},4.5,5.5,Ann\n{page},8.1,9,Bob\n")
    chosen = options(ranges=True, workers=1)
    report = ingest([str(listing)], data, chosen, Silent())
    assert report.states == {"stored": 2}
    first, second = sorted(sources(data), key=lambda source: source.start)
    assert (first.file_start, second.file_start) == (4.0, 8.0)
    assert len(stored_videos(data)) == 2
    spans = plan_spans([first, second], 100)
    assert sorted((span.video_id, span.start, span.end) for span in spans) == sorted(
        [(first.video_id, 0.5, 1.5), (second.video_id, pytest.approx(0.1), 1.0)]
    )
    again = ingest([str(listing)], data, chosen, Silent())
    assert (again.states, again.fetched) == ({"stored": 2}, 0)
    # What is there is not fetched again as a whole, and a new range is fetched alone.
    assert ingest([str(listing)], data, options(workers=1), Silent()).fetched == 0
    listing.write_text(listing.read_text() + f"{page},1,2,Eve\n")
    assert ingest([str(listing)], data, chosen, Silent()).fetched == 1


def test_direct_links_and_what_has_no_end_are_fetched_whole():
    page = Request("https://site.org/watch/1", start=1, end=2)
    assert ranges_alone([page])[0].alone
    assert ranges_alone([page])[0].request_id == page.request_id
    for other in (
        replace(page, url="https://site.org/1.mp4"),
        replace(page, end=None),
        replace(page, trusted=False),
        replace(page, url="/videos/a"),
    ):
        assert not ranges_alone([other])[0].alone


def test_a_range_of_a_page_that_has_only_a_stream(fetcher, server):
    body = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/seg.ts\n#EXT-X-ENDLIST\n"
    kind = "application/vnd.apple.mpegurl"
    url = server.on("/list.m3u8", lambda h: h.reply(200, body.encode(), Content_Type=kind))
    outcome = fetch(fetcher, url, start=0.0, end=1.0, alone=True)
    assert (outcome.state, outcome.error_class) == ("failed", "transient")
