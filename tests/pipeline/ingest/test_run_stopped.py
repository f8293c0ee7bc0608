"""Runs of ingest that end early: killed, or stopped with Ctrl-C."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import loopback
import pytest
from ingest_runs import options, padded, recorded_urls, slowly, sources, start_ingest, videos

from fsh.pipeline.engine.stop_signal import stop_signal
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.fetch import Fetcher
from fsh.pipeline.ingest.journal import FetchOutcome, Job, read_journals
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.ingest.workers import FetchVideos
from fsh.schemas.tables.records import ErrorClass

#: Seconds that a download goes on if nobody stops it.
DRIPS = 600


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kill_9_at_any_moment(data, clips, tmp_path, seed):
    """Killed again and again, a real ingest never loses a finished row and leaves no half file."""
    rng = random.Random(seed)
    with loopback.serving() as server:
        body = (clips / "0.mp4").read_bytes()
        for i in range(60):
            server.on(f"/{i}.mp4", slowly(padded(body, 2**19, i)))
        listing = tmp_path / "list.txt"
        listing.write_text("\n".join(f"{server.url}/{i}.mp4" for i in range(60)))
        finished: set[str] = set()
        kills = 0
        while True:
            child = start_ingest(listing, data)
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
                now = recorded_urls(data)
                assert finished <= now
                finished = now
                continue
            assert child.returncode == 0
            break
        assert kills > 0
        found = sources(data)
        assert Counter(row.state for row in found) == {"stored": 60}
        assert sorted(videos(data)) == sorted(Path(row.path).name for row in found)
        # A video is asked for again only if a kill hit it between its last byte and its record.
        asked = Counter({path: len(times) for path, times in server.hits.items()})
        assert asked.total() <= 60 + 2 * 4 * kills


def test_ctrl_c_ends_waits_and_downloads_and_the_next_run_goes_on(data, clips, tmp_path):
    with loopback.serving() as server:
        body = (clips / "0.mp4").read_bytes()
        for i in range(8):
            # Fewer than workers: one is left for what ends, whatever comes first.
            endless = loopback.drip(DRIPS) if i % 3 == 1 else None
            server.on(f"/{i}.mp4", endless or slowly(padded(body, 2**10, i)))
        listing = tmp_path / "list.txt"
        listing.write_text("\n".join(f"{server.url}/{i}.mp4" for i in range(8)))
        child = start_ingest(listing, data)
        wait_for(lambda: data.records.exists() and recorded_urls(data), child)
        time.sleep(0.5)  # the moment of a record itself is what the kills above are for
        child.send_signal(signal.SIGINT)
        # What is waited for drips for minutes: only a run that cuts it off ends before, however
        # loaded the machine is.
        assert child.wait(timeout=DRIPS / 2) != 0
        assert not list(data.records.glob(data.run_file("ingest", "*").name))
        done = recorded_urls(data)
        assert 0 < len(done) < 8
        for i in range(8):
            server.on(f"/{i}.mp4", slowly(padded(body, 2**10, i)))
        before = {path: len(times) for path, times in server.hits.items()}
        assert start_ingest(listing, data).wait(timeout=DRIPS / 2) == 0
        assert Counter(row.state for row in sources(data)) == {"stored": 8}
        again = {path for path, times in server.hits.items() if len(times) > before.get(path, 0)}
        assert again == {f"/{i}.mp4" for i in range(8)} - {url[-6:] for url in done}


def wait_for(condition: Callable[[], object], child: subprocess.Popen) -> None:
    until = time.monotonic() + DRIPS / 2
    while not condition():
        assert child.poll() is None and time.monotonic() < until
        time.sleep(0.02)


class Breaking(Fetcher):
    """Whatever it fetches is stopped meanwhile, and then fails of something else."""

    def fetch(self, job: Job) -> FetchOutcome:
        self.on_fetch()
        failure = Failure(ErrorClass.TRANSIENT, "network", "its folder is gone")
        return FetchOutcome.of_failure(failure, 1)


def test_what_fails_once_the_run_was_stopped_is_not_recorded(data):
    data.records.mkdir(parents=True)
    request = Request("https://h.org/a.mp4")
    for stopped, records in ((True, 0), (False, 1)):
        with stop_signal(data) as stop:
            worker = FetchVideos(data, options(), stop)
            worker.setup()
            try:
                with worker._desks.taken() as desk:
                    desk._fetcher = Breaking(**vars(desk._fetcher))
                    desk._fetcher.on_fetch = stop.set if stopped else lambda: None
                found = list(worker.process(Job(request.key, (request,))))
            finally:
                worker.teardown()
        assert len(found) == len(list(read_journals(data))) == records
