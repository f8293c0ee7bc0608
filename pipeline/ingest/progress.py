"""Watching the journals of a run, on whatever runner its workers are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fsh.pipeline.ingest.failures import DiskFull
from fsh.pipeline.ingest.journal import journal_files, parse_journal
from fsh.pipeline.ingest.ledger import Ledger
from fsh.schemas.layout import DataFolder
from fsh.schemas.progress import Progress

_COMPACT_EVERY = 600.0  # seconds


@contextmanager
def watching(data: DataFolder, progress: Progress) -> Iterator[None]:
    """Tell the progress of whatever workers there are, by watching their journals grow.

    Now and then the table is written, so that a week's run can be looked at, or sharded, meanwhile.
    """
    seen: dict[Path, int] = {}
    told: set[str] = set()
    done = threading.Event()

    def look() -> None:
        for path in journal_files(data):
            with path.open("rb") as file:
                file.seek(seen.get(path, 0))
                content = file.read()
            content = content[: content.rfind(b"\n") + 1]
            seen[path] = seen.get(path, 0) + len(content)
            for record in parse_journal(content):
                if (line := record.get("note", "")) and line not in told:
                    told.add(line)
                    progress.say(line)
                elif "outcome" in record:
                    outcome = record["outcome"]
                    progress.advance(1, outcome["error_code"] or outcome["video_id"])

    def watch() -> None:
        compacted = time.monotonic()
        while not done.wait(0.3):
            look()
            if time.monotonic() - compacted > _COMPACT_EVERY:
                compacted = time.monotonic()
                with suppress(DiskFull):  # the workers meet it as well, and end the run
                    Ledger(data).compact(drop_journals=False)

    thread = threading.Thread(target=watch, name="ingest progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        look()
