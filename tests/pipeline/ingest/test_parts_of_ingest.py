"""``fsh ingest --part`` and ``fsh ingest --runner dask``: shares of the work, one rate for all."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import loopback
import pytest
from clusters import dask_scheduler, dask_worker
from ingest_runs import options, padded, slowly, sources, videos

from fsh.pipeline.engine.parts import Part
from fsh.pipeline.engine.runner import Engine
from fsh.pipeline.ingest.journal import journal_files
from fsh.pipeline.ingest.rate_limit import BURST
from fsh.pipeline.ingest.run import ingest
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent

#: Requests an hour to the server: four a second.
RATE = 4 * 3600


def serve(server: loopback.Loopback, clips, tmp_path, count: int) -> str:
    body = (clips / "0.mp4").read_bytes()
    urls = [server.on(f"/{i}.mp4", slowly(padded(body, 2**10, i))) for i in range(count)]
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join([*urls, "gone.mp4"]))
    return str(listing)


def facts(data) -> set:
    """What the table says, but for when and how often it was tried."""
    return {replace(source, first_seen="", last_tried="", attempts=0) for source in sources(data)}


def least_seconds(count: int) -> float:
    """Seconds that so many requests take, of which a burst comes at once."""
    return (count - BURST) * 3600 / RATE


def test_parts_side_by_side_fetch_everything_once_and_at_one_rate(clips, data, tmp_path):
    with loopback.serving() as server:
        listing = serve(server, clips, tmp_path, 16)
        chosen = options(rates={"127.0.0.1": RATE})

        def run(number: int):
            return ingest([listing], data, replace(chosen, part=Part(number, 3)), Silent())

        began = time.monotonic()
        with ThreadPoolExecutor(3) as threads:
            reports = list(threads.map(run, (3, 1, 2)))
        assert sum(report.fetched for report in reports) == 17
        assert [report.to_json()["part"] for report in reports] == ["3/3", "1/3", "2/3"]
        assert Counter(s.state for s in sources(data)) == {"stored": 16, "failed": 1}
        assert all(len(times) == 1 for times in server.hits.values())
        assert server.times()[-1] - began >= least_seconds(16)
        before, kept = facts(data), set(videos(data)) - {".incoming"}
        again = [run(number) for number in (1, 2, 3)]  # only what failed here is tried again
        assert sum(report.fetched for report in again) == 1
        assert facts(data) == before
        report = ingest([listing], data, chosen, Silent())
        assert report.states == {"stored": 16, "failed": 1}
        assert facts(data) == before and set(videos(data)) == kept
        assert not journal_files(data) and not data.incoming.exists()
        assert len(server.times()) == 16


def test_a_part_keeps_a_whole_run_out_and_takes_what_a_killed_one_left(clips, data, tmp_path):
    with loopback.serving() as server:
        listing = serve(server, clips, tmp_path, 2)
        first, second = (replace(options(), part=Part(i, 2)) for i in (1, 2))
        asked, go_on = threading.Event(), threading.Event()

        def wait(handler: loopback.Handler) -> None:
            asked.set()
            go_on.wait(300)
            handler.reply(200, (clips / "1.mp4").read_bytes(), Content_Type="video/mp4")

        for path in ("/0.mp4", "/1.mp4"):
            server.on(path, wait)
        with ThreadPoolExecutor(2) as threads:
            jobs = [threads.submit(ingest, [listing], data, o, Silent()) for o in (first, second)]
            assert asked.wait(300)
            with pytest.raises(FshError, match=r"ingest --part [12]/2 is at work here"):
                ingest([listing], data, options(), Silent())
            go_on.set()
            assert sum(job.result().fetched for job in jobs) == 3
        assert not data.lock("ingest").exists()


def test_a_part_and_an_engine_exclude_one_another():
    with pytest.raises(FshError, match="give one of them"):
        options(part=Part(1, 2), runner="dask")


@pytest.mark.slow
def test_two_dask_workers_keep_to_one_rate_and_do_a_doubled_job_once(
    clips, data, tmp_path, monkeypatch
):
    elements = Engine.elements
    monkeypatch.setattr(Engine, "elements", lambda self, work: elements(self, [*work, *work]))
    with loopback.serving() as server, dask_scheduler(tmp_path) as file:
        listing = serve(server, clips, tmp_path, 16)
        flags = (f"--dask_scheduler_file={file}",)
        chosen = options(rates={"127.0.0.1": RATE}, runner="dask", flags=flags)
        with dask_worker(file), dask_worker(file):
            report = ingest([listing], data, chosen, Silent())
        assert report.states == {"stored": 16, "failed": 1}
        assert all(len(times) == 1 for times in server.hits.values())
        times = server.times()
        # A second less for what a busy machine saw late; two buckets would take 0.75 s.
        assert times[-1] - times[0] >= least_seconds(16) - 1
        assert max(b - a for a, b in pairwise(times)) < 60
