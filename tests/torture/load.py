"""Large lists and folders: everything is recorded, and nothing grows with the square of the rows.

    python tests/torture/load.py [--lines 10000] [--files 100000]

A list half of whose lines name files that are not there is ingested twice, and a folder of so many
(empty) sources is planned and its ledger written, read and planned again. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
for folder in (HERE.parents[1] / ".typecheck", HERE.parent / "helpers"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
os.environ["PYTHONPATH"] = str(HERE.parents[1] / ".typecheck")


def long_list(root: Path, lines: int) -> dict[str, object]:
    """Ingest a list, every second line of which fails; the same again."""
    import ingest_media as media

    from fsh.pipeline.ingest.options import IngestOptions
    from fsh.pipeline.ingest.run import ingest
    from fsh.schemas.places.layout import DataFolder
    from fsh.schemas.progress import Silent
    from fsh.schemas.tables.parquet import read_sources

    body = media.make(root / "a.mp4", seconds=0.2).read_bytes()
    files = root / "files"
    files.mkdir()
    for number in range(0, lines, 2):
        padding = (16).to_bytes(4) + b"free" + number.to_bytes(8)
        (files / f"{number}.mp4").write_bytes(body + padding)
    listing = root / "list.txt"
    listing.write_text("".join(f"files/{number}.mp4\n" for number in range(lines)))
    data, options = DataFolder(root / "data"), IngestOptions(max_failures=1.0)
    began = time.monotonic()
    report = ingest([str(listing)], data, options, Silent())
    first = time.monotonic() - began
    began = time.monotonic()
    again = ingest([str(listing)], data, options, Silent())
    return {
        "lines": lines,
        "states": {state.value: count for state, count in report.states.items()},
        "rows": len(read_sources(data.sources)),
        "seconds": round(first, 1),
        "seconds again": round(time.monotonic() - began, 1),
        "fetched again": again.fetched,
    }


def large_folder(root: Path, files: int) -> dict[str, object]:
    """Plan a folder of so many files; write, read and plan a ledger that has them all."""
    from fsh.pipeline.dataset.spans.division import plan_spans
    from fsh.pipeline.ingest.journal import FetchOutcome
    from fsh.pipeline.ingest.ledger import Ledger, plan_jobs, source_of
    from fsh.pipeline.ingest.lists.reading import read_lists
    from fsh.pipeline.ingest.plan import plan_ingest
    from fsh.schemas.places.layout import DataFolder
    from fsh.schemas.tables.records import SourceState

    videos = root / "videos"
    for number in range(files):
        if number % 1000 == 0:
            (videos / f"{number // 1000:04d}").mkdir(parents=True)
        (videos / f"{number // 1000:04d}" / f"{number}.mp4").touch()
    data = DataFolder(root / "data")
    began = time.monotonic()
    plan = plan_ingest([str(videos)], data)
    planned = time.monotonic() - began
    data.records.mkdir(parents=True)
    ledger = Ledger(data)
    requests = read_lists([str(videos)]).requests
    for number, request in enumerate(requests):
        stored = FetchOutcome(
            SourceState.STORED,
            video_id=f"v-{number:016x}",
            path=os.path.relpath(request.url, data.root),
            sha256=f"{number:064x}",
            bytes=0,
            duration=9.0,
        )
        ledger.put(source_of(request, stored))
    began = time.monotonic()
    ledger.compact(drop_journals=True)
    known = Ledger(data).sources
    again = plan_jobs(requests, known, data)
    spans = plan_spans(known.values(), 120.0)
    return {
        "files": files,
        "to fetch": plan.to_fetch,
        "seconds to plan": round(planned, 1),
        "seconds of a ledger written, read and planned": round(time.monotonic() - began, 1),
        "to fetch again": len(again.jobs),
        "spans": len(spans),
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def faults_of(folder: dict[str, object], listed: dict[str, object]) -> list[str]:
    """What was not recorded whole, or is worked on again for no reason."""
    files, lines = folder["files"], listed["lines"]
    assert isinstance(lines, int)
    stored, failed = lines - lines // 2, lines // 2
    wanted = [
        (folder, {"to fetch": files, "to fetch again": 0, "spans": files}),
        (listed, {"states": {"stored": stored, "failed": failed}, "rows": lines}),
        (listed, {"fetched again": failed}),
    ]
    return [
        f"{name}: {found[name]}, not {value}"
        for found, values in wanted
        for name, value in values.items()
        if found[name] != value
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=100_000)
    chosen = parser.parse_args()
    from fsh.schemas.places.temporary import scratch_folder

    with scratch_folder("torture-load") as root:
        for part in ("folder", "list"):
            (root / part).mkdir()
        found: dict[str, Any] = {
            "folder": large_folder(root / "folder", chosen.files),
            "list": long_list(root / "list", chosen.lines),
        }
    found["faults"] = faults_of(found["folder"], found["list"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
