"""``fsh shard`` on Dask against the local run, two workers against one, and a worker's death.

    python tests/benchmarks/engines.py LIST [--count 24] [--seconds 6] [--rounds 3] [--no-death]

``--count 16 --seconds 4 --rounds 2 --no-death`` takes about five minutes on two idle cores.

The clips are ``count`` of the list, spread evenly over its sizes, the first ``seconds`` of each.
Everything is timed by the command itself (``seconds`` of its report), so Python's start is not in
it, and medians of interleaved rounds are compared. A Dask cluster is a scheduler and workers of one
thread, each a process of its own that is there before, and looks at itself seldom (docs/scale.md).
Beside the whole run, ``spans`` is the time from the first span's beginning to the last one's end.

- local, two workers, against a cluster of two;
- a cluster of one worker on core 0 against two, on cores 0 and 1; the sandboxes have been started
  by a run of two clips before (they are kept for half a minute), so that start-up is aside;
- a cluster of two, one of which is killed with -9 when a third of the spans are done: which
  finished spans were done again.

All data sets are compared to the byte.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from clusters import dask_scheduler, kill_group, running
from erasable import contents, span_tables
from shard_speed import choose, run_fsh, shorten

from fsh.pipeline.engine.dask_cluster import SELDOM
from fsh.schemas.places.layout import DataFolder


def worker(file: Path, core: int | None):
    """A Dask worker of one thread, on one core if it is named."""
    pinned = ("taskset", "-c", core) if core is not None else ()
    command = (sys.executable, "-m", "dask", "worker", "--scheduler-file", file, "--nthreads", 1)
    return running(*pinned, *command, "--no-dashboard", log=file.with_suffix(".log"))


class Bench:
    """Runs on fresh data folders of the same videos."""

    def __init__(self, folder: Path, listing: Path, landmarks: str) -> None:
        self._folder, self._listing, self._landmarks = folder, listing, landmarks
        self._count = 0
        two = listing.read_text().splitlines()[:2]
        self._two = folder / "two.txt"
        self._two.write_text("\n".join(two))
        self.made: set[str] = set()

    def fresh(self, listing: Path | None = None) -> DataFolder:
        self._count += 1
        data = DataFolder(self._folder / f"data{self._count}")
        run_fsh("ingest", str(listing or self._listing), "--data", str(data.root))
        return data

    def warm(self, *flags: str) -> None:
        """A run of two clips, one for each worker that there may be."""
        at = ("--data", str(self.fresh(self._two).root), "--landmarks", self._landmarks)
        run_fsh("shard", *at, *flags)

    def shard(self, *flags: str, data: DataFolder | None = None) -> dict[str, float]:
        data = data or self.fresh()
        began = time.time()
        at = ("--data", str(data.root), "--landmarks", self._landmarks)
        report, wall, cpu = run_fsh("shard", *at, *flags)
        self.made.add(json.dumps(contents(data), sort_keys=True))
        ends = [path.stat().st_mtime for path in span_tables(data)]
        spans = max(ends) - (began + wall - report["seconds"])
        return {"seconds": report["seconds"], "spans": spans, "wall": wall, "cpu": cpu}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(r[name] for r in rounds), 2) for name in rounds[0]}


def death(bench: Bench, file: Path, workers: list, total: int, flags: tuple[str, ...]) -> dict:
    """Kill a worker when a third of the spans are done; what was done again of these."""
    data, before = bench.fresh(), {}

    def kill() -> None:
        while len(span_tables(data)) < total // 3:
            time.sleep(0.05)
        kill_group(workers[0])
        before.update(span_tables(data))

    thread = threading.Thread(target=kill)
    thread.start()
    seconds = bench.shard(*flags, data=data)["seconds"]
    thread.join()
    after = span_tables(data)
    again = sum(after[path] != inode for path, inode in before.items())
    return {"seconds": seconds, "spans_done_before": len(before), "of_these_again": again}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--landmarks", default="dlib")
    parser.add_argument("--no-death", action="store_true", help="kill no worker")
    arguments = parser.parse_args()
    for name, value in SELDOM.items():
        os.environ["DASK_" + name.replace(".", "__").replace("-", "_").upper()] = str(value)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        chosen = choose(arguments.list, arguments.count, small=False)
        listing = folder / "list.txt"
        files = [
            shorten(path, folder / f"{i:02d}{path.suffix}", arguments.seconds)
            for i, path in enumerate(chosen)
        ]
        listing.write_text("\n".join(map(str, files)))
        bench = Bench(folder, listing, arguments.landmarks)
        local, two, one_core, two_cores = [], [], [], []
        with dask_scheduler(folder) as file:
            flags = ("--runner", "dask", "--dask_scheduler_file", str(file))
            with ExitStack() as stack:
                workers = [stack.enter_context(worker(file, None)) for _ in range(2)]
                for _ in range(arguments.rounds):
                    local.append(bench.shard("--workers", "2"))
                    two.append(bench.shard(*flags))
                killed = {}
                if not arguments.no_death:
                    killed = death(bench, file, workers, len(files), flags)
            for _ in range(arguments.rounds):
                for cores, results in (((0,), one_core), ((0, 1), two_cores)):
                    with ExitStack() as stack:
                        for core in cores:
                            stack.enter_context(worker(file, core))
                        bench.warm(*flags)
                        results.append(bench.shard(*flags))
    result = {
        "clips": len(files),
        "same_bytes": len(bench.made) == 1,
        "local_two": medians(local),
        "dask_two": medians(two),
        "dask_over_local": round(medians(two)["seconds"] / medians(local)["seconds"], 3),
        "one_on_one_core": medians(one_core),
        "two_on_a_core_each": medians(two_cores),
        "two_over_one": round(medians(one_core)["seconds"] / medians(two_cores)["seconds"], 3),
        "two_over_one_spans": round(medians(one_core)["spans"] / medians(two_cores)["spans"], 3),
        "killed": killed,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
