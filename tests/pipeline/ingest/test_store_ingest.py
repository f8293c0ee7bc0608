"""``fsh ingest`` into an object store: what it leaves in a folder, and kept as well; a real server.

Runs are killed and meet one another, the store throttles, cuts connections and goes away.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import loopback
import pytest
from command import fsh as fsh_command
from ingest_runs import RecordingProgress, options, padded, slowly, sources
from object_store import Place, objects, proxied, s3_server, using

from fsh.pipeline.engine.parts import Part
from fsh.pipeline.ingest import journal_files
from fsh.pipeline.ingest.journal import read_journals
from fsh.pipeline.ingest.rate_limit import BURST
from fsh.pipeline.ingest.run import ingest
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent

#: Requests an hour to the server: four a second.
RATE = 4 * 3600


def facts(data: DataFolder) -> set:
    """What the table says, but for when and how often it was tried."""
    return {replace(source, first_seen="", last_tried="", attempts=0) for source in sources(data)}


def write_list(server: loopback.Loopback, clips, folder: Path, count: int, answer=slowly) -> str:
    body = (clips / "0.mp4").read_bytes()
    urls = [server.on(f"/{i}.mp4", answer(padded(body, 2**10, i))) for i in range(count)]
    listing = folder / "list.txt"
    listing.write_text("\n".join([*urls, str(clips / "1.mp4"), "gone.mp4"]))
    return str(listing)


def run(listing: str, data: DataFolder, **changes):
    return ingest([listing], data, options(**changes), Silent())


def test_a_store_gets_what_a_folder_gets(s3_place, clips, data, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_files, "_LARGE", 5000)  # so that there are several
    with loopback.serving() as server:
        listing = write_list(server, clips, tmp_path, 4)
        run(listing, data, copy=True)
        report = run(listing, s3_place.data)
        assert report.states == {"stored": 5, "failed": 1} and report.fetched == 6
        assert facts(s3_place.data) == facts(data)
        stored = {path.name: path.read_bytes() for path in data.videos.iterdir()}
        assert s3_place.videos() == stored
        # Nothing else is left, here or there.
        names = {path.name.rpartition(".")[0] for path in s3_place.files.records.iterdir()}
        assert names == {"sources", ".lock.whole", "governor.json"}
        cache = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert cache == []
        before = objects(s3_place.files.root.parent.parent, tmp_path.name)
        again = run(listing, s3_place.data)  # only what failed here is tried again
        assert again.fetched == 1 and again.states == report.states
        assert all(len(times) == 2 for times in server.hits.values())  # once for each place
        after = objects(s3_place.files.root.parent.parent, tmp_path.name)
        assert after.keys() >= {name for name in before if not name.startswith("sources/.")}
        # A video that is gone is fetched again; the local file alone is gone up again.
        gone = next(s for s in sources(s3_place.data) if s.url == str(clips / "1.mp4"))
        (s3_place.files.root / gone.path).unlink()
        assert run(listing, s3_place.data).fetched == 2 and s3_place.videos() == stored


def test_a_video_goes_up_once(s3_place, clips, tmp_path, monkeypatch):
    listing = tmp_path / "list.txt"
    (tmp_path / "same.mp4").write_bytes((clips / "0.mp4").read_bytes())
    listing.write_text(f"{clips / '0.mp4'}\n{tmp_path / 'same.mp4'}\n")
    run(str(listing), s3_place.data, workers=1)
    (first,) = s3_place.files.videos.iterdir()
    written = first.stat().st_mtime_ns
    for path in s3_place.files.records.glob("sources.parquet"):
        path.unlink()  # as if it had been killed between the video and its record
    run(str(listing), s3_place.data)
    assert first.stat().st_mtime_ns == written
    assert Counter(s.state for s in sources(s3_place.data)) == {"stored": 2}


def test_parts_side_by_side_fetch_everything_once_and_at_one_rate(s3_place, clips, tmp_path):
    with loopback.serving() as server:
        listing = write_list(server, clips, tmp_path, 12)
        chosen = {"rates": {"127.0.0.1": RATE}, "workers": 2}

        def part(number: int):
            return run(listing, s3_place.data, part=Part(number, 3), **chosen)

        began = time.monotonic()
        with ThreadPoolExecutor(3) as threads:
            reports = list(threads.map(part, (3, 1, 2)))
        assert sum(report.fetched for report in reports) == 14
        assert Counter(s.state for s in sources(s3_place.data)) == {"stored": 13, "failed": 1}
        assert all(len(times) == 1 for times in server.hits.values())
        assert server.times()[-1] - began >= (12 - BURST) * 3600 / RATE
        before = facts(s3_place.data)
        report = run(listing, s3_place.data, **chosen)
        assert report.states == {"stored": 13, "failed": 1} and facts(s3_place.data) == before
        assert not list(s3_place.files.journals.glob("*")) and len(server.times()) == 12


def test_two_at_once_are_told_apart(s3_place, clips, tmp_path):
    with loopback.serving() as server:
        asked, go_on = threading.Event(), threading.Event()

        def wait(handler: loopback.Handler) -> None:
            body = (clips / "0.mp4").read_bytes()
            kind = {"Content_Length": str(len(body)), "Content_Type": "video/mp4"}
            handler.reply(200, **kind)
            asked.set()
            sent = 0
            while not go_on.wait(1) and sent < 120:  # a silent server would be given up
                handler.wfile.write(body[sent : sent + 1])
                sent += 1
            handler.wfile.write(body[sent:])

        listing = tmp_path / "list.txt"
        listing.write_text(server.on("/0.mp4", wait))
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(run, str(listing), s3_place.data)
            try:
                assert asked.wait(300)
                done = fsh_command("ingest", listing, "--data", s3_place.address)
                assert done.returncode == 1 and "another ingest is at work here" in done.stderr
                with pytest.raises(FshError, match="ingest is at work here"):
                    run(str(listing), s3_place.data, part=Part(1, 2))
            finally:
                go_on.set()
            assert first.result().states == {"stored": 1}


def test_throttling_and_lost_connections_lose_nothing(s3_store, clips, data, tmp_path):
    with (
        loopback.serving() as server,
        proxied(s3_store[1]) as proxy,
        using(proxy.port, tmp_path / "cache"),
    ):
        place = Place(s3_store[0], tmp_path.name)
        listing = write_list(server, clips, tmp_path, 6)
        run(listing, data, copy=True)
        there = place.data
        fates = itertools.cycle([*["pass"] * 5, "slow down", *["pass"] * 5, "drop", "cut"])
        proxy.decide = lambda line: next(fates)
        assert run(listing, there).states == {"stored": 7, "failed": 1}
        proxy.decide = lambda line: "pass"
        assert facts(there) == facts(data) and not list(place.files.journals.glob("*"))
        assert place.videos() == {p.name: p.read_bytes() for p in data.videos.iterdir()}


@pytest.mark.slow
def test_a_store_that_goes_away_is_told_in_one_line_and_nothing_is_lost(
    clips, tmp_path, monkeypatch
):
    monkeypatch.setattr("fsh.schemas.places.stores.PATIENCE", 1.0)
    with loopback.serving() as server:
        listing = write_list(server, clips, tmp_path, 8)
        with s3_server(tmp_path / "served") as port, using(port, tmp_path / "cache"):
            place = Place(tmp_path / "served", "set")
            there = place.data
            run(listing, there, part=Part(1, 2))
        before = len(server.times())
        with using(port, tmp_path / "cache"):
            with pytest.raises(FshError, match="the store does not answer") as told:
                run(listing, there)
            assert "\n" not in str(told.value)
            with s3_server(tmp_path / "served", port):
                assert run(listing, place.data).states == {"stored": 9, "failed": 1}
        assert len(server.times()) == 8 > before > 0


@pytest.mark.slow
def test_a_store_that_goes_away_midway(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("fsh.schemas.places.stores.PATIENCE", 1.0)
    with (
        loopback.serving() as server,
        s3_server(tmp_path / "served") as port,
        proxied(port) as proxy,
        using(proxy.port, tmp_path / "cache"),
    ):
        place = Place(tmp_path / "served", "set")
        listing, there = write_list(server, clips, tmp_path, 8), place.data
        proxy.decide = lambda line: "drop" if len(place.videos()) >= 4 else "pass"
        with pytest.raises(FshError, match="the store does not answer") as told:
            run(listing, there, workers=2)
        assert "\n" not in str(told.value)
        proxy.decide = lambda line: "pass"
        assert run(listing, there, workers=2).states == {"stored": 9, "failed": 1}
        assert len(server.times()) <= 8 + 3  # what was under way is asked for again


@pytest.mark.slow
def test_kill_9_at_any_moment(s3_place, clips, tmp_path):
    """Killed again and again, it loses no finished row and leaves no half of anything."""
    rng, count = random.Random(0), 20
    body = (clips / "0.mp4").read_bytes()
    with loopback.serving() as server:
        for i in range(count):
            server.on(f"/{i}.mp4", slowly(padded(body, 2**19, i)))
        listing = tmp_path / "list.txt"
        listing.write_text("\n".join(f"{server.url}/{i}.mp4" for i in range(count)))
        command = [sys.executable, "-m", "fsh.cli", "ingest", str(listing), "--quiet"]
        command += ["--data", s3_place.address, "--workers", "4"]
        finished, kills = set[str](), 0
        while True:
            child = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
            target = len(server.times()) + rng.randint(2, 14)
            until = time.monotonic() + 600
            while child.poll() is None and len(server.times()) < target:
                assert time.monotonic() < until
                time.sleep(0.01)
            if child.poll() is None:
                time.sleep(rng.uniform(0, 0.4))
                os.killpg(child.pid, signal.SIGKILL)
            if child.wait() == -signal.SIGKILL:
                kills += 1
                assert all(len(one) == len(body) + 2**19 + 8 for one in s3_place.videos().values())
                there = s3_place.data
                known = sources(there) if s3_place.files.sources.exists() else ()
                now = {source.url for source in known}
                now |= {r.url for record in read_journals(there) for r in record.requests}
                assert finished <= now
                finished = now
                continue
            assert child.returncode == 0
            break
        assert kills > 0
        found = sources(s3_place.data)
        assert Counter(row.state for row in found) == {"stored": count}
        assert sorted(s3_place.videos()) == sorted(Path(row.path).name for row in found)
        asked = Counter({path: len(times) for path, times in server.hits.items()})
        assert asked.total() <= count + 2 * 4 * kills


def test_names_of_others_are_not_taken(s3_place):
    (s3_place.files.root / "videos").mkdir(parents=True)
    (s3_place.files.root / "videos" / "mine.mp4").write_bytes(b"mine")
    done = fsh_command("ingest", "x.mp4", "--data", s3_place.address)
    assert done.returncode == 1 and "holds videos, which fsh did not make" in done.stderr


def test_the_command(s3_place, clips, tmp_path):
    progress = RecordingProgress()
    done = fsh_command("ingest", clips / "0.mp4", "--data", s3_place.address, "--dry-run", "--json")
    assert done.returncode == 0 and '"to_fetch": 1' in done.stdout, done.stderr
    assert not s3_place.files.root.exists()
    done = fsh_command("ingest", clips / "0.mp4", "--data", s3_place.address, "--json")
    assert done.returncode == 0 and '"alive": 1' in done.stdout, done.stderr
    ingest([str(clips / "0.mp4"), str(clips / "1.mp4")], s3_place.data, options(), progress)
    assert progress.done == 1 and len(s3_place.videos()) == 2
