"""``fsh ingest`` from the list to the ledger, on the local runner, with real files and hosts."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path

import loopback
import pytest
from ingest_runs import RecordingProgress, options, sources, videos

from fsh.pipeline.ingest.plan import plan_ingest
from fsh.pipeline.ingest.report import TooManyFailures
from fsh.pipeline.ingest.run import ingest
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent

WATCH = "https://www.youtube.com/watch?v="


def test_a_list_of_everything(data, clips, tmp_path):
    """Local files, links, ranges, labels, bad lines and dead links; then again, with an edit."""
    progress = RecordingProgress()
    with loopback.serving() as server:
        link = server.on("/talk.mp4", loopback.media(clips / "1.mp4"))
        listing = tmp_path / "list.csv"
        lines = ["url,start,end,identity,bbox"]
        lines += [f"{link},{i},{i + 1},Ann,0 0 9 9" for i in range(10)]
        lines += [f"{clips / '0.mp4'},,,Bob,", f"{server.url}/gone.mp4,,,Cid,"]
        lines += [f"{clips / 'image.png'},,,,", f"{link},9,2,Ann,", f"{clips / 'none.mp4'},,,,"]
        listing.write_text("\n".join(lines))
        report = ingest([str(listing)], data, options(), progress)
        assert len(server.hits["/talk.mp4"]) == 1

        found = report.to_json()
        assert (found["rows"], found["videos"], found["ranges"], found["bad_lines"]) == (
            14,
            5,
            10,
            1,
        )
        assert found["states"] == {"stored": 11, "failed": 3}
        assert found["errors"] == {"permanent": 3}
        assert (found["alive"], found["dead"]) == (2, 3)
        assert found["causes"] == {"http_404": 1, "not_media": 1, "missing": 1}
        assert found["malformed"] == [f"{listing}:15: ends at 2 s, before it starts at 9 s"]
        assert progress.done == 5
        by_line = {source.line: source for source in sources(data)}
        assert len({by_line[line].video_id for line in range(2, 12)}) == 1
        assert by_line[3].bbox == (0, 0, 9, 9) and by_line[3].identity == "Ann"
        assert (by_line[2].start, by_line[2].end) == (0, 1)
        assert by_line[12].bbox is None and by_line[12].video_codec == "h264"
        assert by_line[13].error_code == "http_404"
        assert videos(data) == sorted({Path(r.path).name for r in sources(data) if r.path})

        # The list is edited: reordered, a new range, a new label, a new file.
        edited = [lines[0], f"{clips / '2.mp4'},,,Dan,", f"{link},20,21,Ann,", *lines[2:5]]
        edited += [f"{clips / '0.mp4'},,,Robert,"]
        listing.write_text("\n".join(edited))
        report = ingest([str(listing)], data, options(), Silent())
        assert (report.fetched, report.states) == (1, {"stored": 6})
        assert len(server.hits["/talk.mp4"]) == 1
        labels = {row.url: row.identity for row in sources(data) if row.state == "stored"}
        assert labels[str(clips / "0.mp4")] == "Robert"
        assert len(sources(data)) == 16
        assert report.dead == 0


def test_retries_by_class(data, clips, tmp_path):
    with loopback.serving() as server:
        listing = tmp_path / "list.txt"
        names = ("gone", "down")
        listing.write_text("\n".join(f"{server.url}/{name}.mp4" for name in names))
        server.on("/down.mp4", loopback.status(404))
        server.on("/gone.mp4", loopback.status(404))
        ingest([str(listing)], data, options(), Silent())
        for name in names:
            server.on(f"/{name}.mp4", loopback.media(clips / "0.mp4"))
        report = ingest([str(listing)], data, options(), Silent())
        assert (report.fetched, report.states) == (0, {"failed": 2})
        report = ingest([str(listing)], data, options(retry="permanent"), Silent())
        assert (report.fetched, report.states) == (2, {"stored": 2})
        assert {row.attempts for row in sources(data)} == {2}
        assert len(videos(data)) == 1


def test_too_many_failures_end_the_run_after_recording(data, clips, tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text(f"{clips / '0.mp4'}\n{clips / 'image.png'}\n{tmp_path / 'none.mp4'}\n")
    with pytest.raises(TooManyFailures, match="2 of 3 videos") as caught:
        ingest([str(listing)], data, options(max_failures=0.5), Silent())
    assert caught.value.report.states == {"stored": 1, "failed": 2}
    assert Counter(row.state for row in sources(data)) == {"stored": 1, "failed": 2}


def test_creative_commons_only_and_then_any(data, clips, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text(f"url,license\n{clips / '0.mp4'},CC BY 4.0\n{clips / '1.mp4'},\n")
    report = ingest([str(listing)], data, options(license="cc", max_failures=0), Silent())
    assert (report.states, report.causes) == ({"stored": 1, "refused": 1}, {"license": 1})
    report = ingest([str(listing)], data, options(), Silent())
    assert report.states == {"stored": 2}
    report = ingest([str(listing)], data, options(license="cc", max_failures=0), Silent())
    assert report.states == {"stored": 1, "refused": 1}


def test_erased_videos_are_refused(data, clips, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text(f"url,identity\n{clips / '0.mp4'},Ann\n{clips / '1.mp4'},Bob\n")
    data.sources.parent.mkdir(parents=True)
    Tombstones().adding(identity="Ann").write(data)
    report = ingest([str(listing)], data, options(), Silent())
    assert (report.states, report.causes) == ({"refused": 1, "stored": 1}, {"erased": 1})


def test_a_plan_makes_no_request(data, clips, tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text(
        f"{WATCH}dQw4w9WgXcQ 1 2\n{WATCH}dQw4w9WgXcQ 3 4\n{WATCH}9bZkp7q19f0\n"
        f"{clips / '0.mp4'}\n?\nhttps://www.youtube.com/@somebody\n"
    )
    found = plan_ingest([str(listing)], data, options(rate_per_hour=1)).to_json()
    assert [found[name] for name in ("rows", "videos", "ranges", "bad_lines")] == [5, 4, 2, 1]
    assert (found["to_fetch"], found["playlists"]) == (4, 1)
    assert found["hosts"] == {"youtube": 3, "": 1}
    assert found["hours"] == 3.0
    assert not data.root.exists()


def test_nothing_to_ingest_is_said_clearly(data, tmp_path):
    listing = tmp_path / "vox2_meta.csv"
    listing.write_text("Name \tVoxCeleb2 ID \nAnn \tid1 \n")
    with pytest.raises(FshError, match="without any URL"):
        ingest([str(listing)], data, options(), Silent())
    with pytest.raises(FshError, match="columns: name, voxceleb2_id"):
        plan_ingest([str(listing)])


def test_a_list_named_by_its_url(data, clips, tmp_path):
    """The list is the net's, not the user's: loopback and local paths in it are refused."""
    with loopback.serving() as server:
        link = server.on("/a.mp4", loopback.media(clips / "0.mp4"))
        text = f"url\n{link}\n{clips / '0.mp4'}\n"
        for path in ("/list.csv", "/list"):
            answer = lambda h: h.reply(200, text.encode(), Content_Type="text/csv")  # noqa: E731
            report = ingest([server.on(path, answer)], data, options(), Silent())
            assert report.causes == {"private_address": 1, "local_path": 1}
    assert not list(data.videos.glob("v-*"))


def test_a_channel_that_cannot_be_read_is_a_row_of_its_own(data, clips, monkeypatch):
    """No name can be resolved: a dead channel is reported and recorded, the other videos come."""

    def nobody(*arguments, **names):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    channel = "https://www.youtube.com/@somebody/videos"
    progress = RecordingProgress()
    report = ingest([channel, str(clips / "0.mp4")], data, options(), progress)
    assert report.states == {"failed": 1, "stored": 1}
    assert report.causes == {"network": 1}
    assert any(channel in line for line in progress.lines)
    assert {row.url: row.error_class for row in sources(data)}[channel] == "transient"
