"""``fsh ingest`` from the list to the ledger, on the local runner, with real files and hosts."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import ingest_media as media
import loopback
import pytest

from fsh.pipeline.ingest.download import Limits
from fsh.pipeline.ingest.rate_limit import BURST
from fsh.pipeline.ingest.run import IngestOptions, TooManyFailures, ingest, plan
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.schemas.tables import SOURCES, read_table

WATCH = "https://www.youtube.com/watch?v="


class Told(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done = 0.0

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done += amount

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for i in range(4):
        media.make(folder / f"{i}.mp4", "-vf", f"hue=h={i * 40}", seconds=0.5)
    media.make_image(folder / "image.png")
    return folder


@pytest.fixture
def data(tmp_path) -> DataFolder:
    return DataFolder(tmp_path / "data")


def options(**changes) -> IngestOptions:
    return IngestOptions(**{"limits": Limits(timeout=5), "max_failures": 1.0} | changes)


def rows(data: DataFolder) -> list[dict]:
    return read_table(data.sources, SOURCES).to_pylist()


def videos(data: DataFolder) -> list[str]:
    return sorted(path.name for path in data.videos.iterdir())


def test_a_list_of_everything(data, clips, tmp_path):
    """Local files, links, ranges, labels, bad lines and dead links; then again, with an edit."""
    told = Told()
    with loopback.serving() as server:
        link = server.on("/talk.mp4", loopback.media(clips / "1.mp4"))
        listing = tmp_path / "list.csv"
        lines = ["url,start,end,identity,bbox"]
        lines += [f"{link},{i},{i + 1},Ann,0 0 9 9" for i in range(10)]
        lines += [f"{clips / '0.mp4'},,,Bob,", f"{server.url}/gone.mp4,,,Cid,"]
        lines += [f"{clips / 'image.png'},,,,", f"{link},9,2,Ann,", f"{clips / 'none.mp4'},,,,"]
        listing.write_text("\n".join(lines))
        report = ingest([str(listing)], data, options(), told)
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
        assert told.done == 5
        by_line = {row["line"]: row for row in rows(data)}
        assert len({by_line[line]["video_id"] for line in range(2, 12)}) == 1
        assert by_line[3]["bbox"] == [0, 0, 9, 9] and by_line[3]["identity"] == "Ann"
        assert (by_line[2]["start"], by_line[2]["end"]) == (0, 1)
        assert by_line[12]["bbox"] is None and by_line[12]["video_codec"] == "h264"
        assert by_line[13]["error_code"] == "http_404"
        assert videos(data) == sorted({Path(r["path"]).name for r in rows(data) if r["path"]})

        # The list is edited: reordered, a new range, a new label, a new file.
        edited = [lines[0], f"{clips / '2.mp4'},,,Dan,", f"{link},20,21,Ann,", *lines[2:5]]
        edited += [f"{clips / '0.mp4'},,,Robert,"]
        listing.write_text("\n".join(edited))
        report = ingest([str(listing)], data, options(), Silent())
        assert (report.fetched, report.states) == (1, {"stored": 6})
        assert len(server.hits["/talk.mp4"]) == 1
        labels = {row["url"]: row["identity"] for row in rows(data) if row["state"] == "stored"}
        assert labels[str(clips / "0.mp4")] == "Robert"
        assert len(rows(data)) == 16
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
        assert {row["attempts"] for row in rows(data)} == {2}
        assert len(videos(data)) == 1


def test_too_many_failures_end_the_run_after_recording(data, clips, tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text(f"{clips / '0.mp4'}\n{clips / 'image.png'}\n{tmp_path / 'none.mp4'}\n")
    with pytest.raises(TooManyFailures, match="2 of 3 videos") as caught:
        ingest([str(listing)], data, options(max_failures=0.5), Silent())
    assert caught.value.report.states == {"stored": 1, "failed": 2}
    assert Counter(row["state"] for row in rows(data)) == {"stored": 1, "failed": 2}


def test_creative_commons_only_and_then_any(data, clips, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text(f"url,license\n{clips / '0.mp4'},CC BY 4.0\n{clips / '1.mp4'},\n")
    report = ingest([str(listing)], data, options(license="cc", max_failures=0), Silent())
    assert (report.states, report.causes) == ({"stored": 1, "refused": 1}, {"license": 1})
    report = ingest([str(listing)], data, options(), Silent())
    assert report.states == {"stored": 2}
    report = ingest([str(listing)], data, options(license="cc", max_failures=0), Silent())
    assert report.states == {"stored": 1, "refused": 1}


def test_erased_videos_stay_away(data, clips, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text(f"url,identity\n{clips / '0.mp4'},Ann\n{clips / '1.mp4'},Bob\n")
    data.sources.parent.mkdir(parents=True)
    Tombstones().add(data, identity="Ann")
    report = ingest([str(listing)], data, options(), Silent())
    assert (report.states, report.causes) == ({"refused": 1, "stored": 1}, {"erased": 1})


def test_a_plan_asks_nobody(data, clips, tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text(
        f"{WATCH}dQw4w9WgXcQ 1 2\n{WATCH}dQw4w9WgXcQ 3 4\n{WATCH}9bZkp7q19f0\n"
        f"{clips / '0.mp4'}\n?\nhttps://www.youtube.com/@somebody\n"
    )
    found = plan([str(listing)], data, options(rate_per_hour=1)).to_json()
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
    assert plan([str(listing)]).to_json()["rows"] == 0


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


def test_the_governor_governs(data, clips, tmp_path):
    """Requests are counted at the server: 8 workers together keep to the rate."""
    rate = 10.0
    with loopback.serving() as server:
        links = [server.on(f"/{i}.mp4", loopback.media(clips / f"{i % 4}.mp4")) for i in range(25)]
        listing = tmp_path / "list.txt"
        listing.write_text("\n".join(links))
        governed = options(rates={"127.0.0.1": 3600 * rate}, workers=8)
        report = ingest([str(listing)], data, governed, Silent())
        times = server.times()
    assert report.states == {"stored": 25}
    assert len(times) == 25
    late = 0.5  # seconds by which a busy machine may delay the first of them
    assert times[-1] - times[0] >= (25 - BURST) / rate - late


def test_a_full_disk_is_one_clear_line_and_resumable(clips, tmp_path, small_disk):
    data = DataFolder(small_disk / "data")
    listing = tmp_path / "list.txt"
    with loopback.serving() as server:
        body = (clips / "0.mp4").read_bytes()
        for i in range(12):  # 3 MB each: a video, padded, different from the others
            padded = body + (2**20 * 3 + 8).to_bytes(4) + b"free" + bytes([i]) * 2**20 * 3
            server.on(f"/{i}.mp4", lambda h, b=padded: h.reply(200, b, Content_Type="video/mp4"))
        listing.write_text("\n".join(f"{server.url}/{i}.mp4" for i in range(12)))
        with pytest.raises(FshError, match="no room left on the disk") as caught:
            ingest([str(listing)], data, options(workers=2), Silent())
        assert "run the same command again" in caught.value.remedy
        done = rows(data)
        assert 0 < len(done) < 12
        assert all((data.root / row["path"]).stat().st_size == row["bytes"] for row in done)
        (small_disk / "ballast").unlink()
        report = ingest([str(listing)], data, options(), Silent())
        assert report.states == {"stored": 12}
        assert report.fetched == 12 - len(done)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 80 MB, 30 MB of them ballast."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        (disk / "ballast").write_bytes(bytes(30 * 2**20))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from fsh.pipeline.ingest.run import IngestOptions, ingest
    from fsh.schemas.layout import DataFolder
    from fsh.schemas.progress import Silent
    ingest([sys.argv[1]], DataFolder(Path(sys.argv[2])), IngestOptions(workers=4), Silent())
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kill_9_at_any_moment(data, clips, tmp_path, seed):
    """Killed again and again, a real ingest never loses a finished row and leaves no half file."""
    rng = random.Random(seed)
    with loopback.serving() as server:
        body = (clips / "0.mp4").read_bytes()
        for i in range(60):
            padded = body + (2**19 + 8).to_bytes(4) + b"free" + bytes([i]) * 2**19
            server.on(f"/{i}.mp4", slowly(padded))
        listing = tmp_path / "list.txt"
        listing.write_text("\n".join(f"{server.url}/{i}.mp4" for i in range(60)))
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        finished: set[str] = set()
        kills = 0
        while True:
            command = [sys.executable, "-c", CHILD, str(listing), str(data.root)]
            child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            target = len(server.times()) + rng.randint(1, 20)
            while child.poll() is None and len(server.times()) < target:
                time.sleep(0.01)
            if child.poll() is None:
                time.sleep(rng.uniform(0, 0.4))
                child.send_signal(signal.SIGKILL)
            if child.wait() == -signal.SIGKILL:
                kills += 1
                for path in data.videos.glob("v-*") if data.videos.exists() else ():
                    assert path.stat().st_size == len(body) + 2**19 + 8
                now = recorded(data)
                assert finished <= now
                finished = now
                continue
            assert child.returncode == 0
            break
        assert kills > 0
        found = rows(data)
        assert Counter(row["state"] for row in found) == {"stored": 60}
        assert sorted(videos(data)) == sorted(Path(row["path"]).name for row in found)
        # A video is asked for again only if a kill hit it between its last byte and its record.
        asked = Counter({path: len(times) for path, times in server.hits.items()})
        assert asked.total() <= 60 + 2 * 4 * kills


def slowly(body: bytes) -> loopback.Answer:
    def answer(handler: loopback.Handler) -> None:
        time.sleep(0.15)
        handler.reply(200, body, Content_Type="video/mp4")

    return answer


def recorded(data: DataFolder) -> set[str]:
    """URLs with a durable record: in the table or in a whole line of a journal."""
    found = {row["url"] for row in rows(data)} if data.sources.exists() else set()
    for path in (data.sources.parent / "journal").glob("*.jsonl"):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                found |= {request["url"] for request in json.loads(line).get("requests", [])}
    return found


def test_a_channel_that_cannot_be_read_is_a_row_of_its_own(data, clips, monkeypatch):
    """No name can be resolved: a dead channel is told and recorded, the other videos come."""

    def nobody(*arguments, **names):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    channel = "https://www.youtube.com/@somebody/videos"
    told = Told()
    report = ingest([channel, str(clips / "0.mp4")], data, options(), told)
    assert report.states == {"failed": 1, "stored": 1}
    assert report.causes == {"network": 1}
    assert any(channel in line for line in told.lines)
    assert {row["url"]: row["error_class"] for row in rows(data)}[channel] == "transient"
