"""The progress of a run, read from its workers' journals, on whatever runner they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.journal import parse_journal
from fsh.pipeline.ingest.journal_files import journal_sizes, read_lines
from fsh.pipeline.ingest.ledger import merge_journals
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.leases import Held
from fsh.schemas.places.stores import StoreRefused, is_remote
from fsh.schemas.progress import Progress


class JournalTail:
    """Reads what was added to the journals of a data folder since it read them last."""

    def __init__(self, data: DataFolder, run: str = "") -> None:
        """
        Args:
            run: whose journals are read; empty: all.
        """
        self._data, self._run = data, run
        self._read: dict[Path, int] = {}  # bytes, by journal

    def new_records(self) -> Iterator[dict[str, Any]]:
        """Whole records and notes, as :func:`parse_journal` gives them."""
        for path, size in journal_sizes(self._data, self._run).items():
            try:
                content = read_lines(path, self._read.get(path, 0), size)
            except FileNotFoundError:  # brought into the table meanwhile
                continue
            content = content[: content.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(content)
            yield from parse_journal(content)


@contextmanager
def showing_progress(
    data: DataFolder,
    progress: Progress,
    *,
    run: str = "",
    every: float | None = None,
    compact_every: float = 600.0,
) -> Iterator[None]:
    """Advance a progress bar by one for each video that any worker records meanwhile.

    Now and then the table is written, so that the results of a run that takes a week can be read,
    or sharded, meanwhile.

    Args:
        run: whose videos are shown; empty: all.
        every: seconds between two readings of the journals; None: what suits the place.
        compact_every: seconds between two writings of the table.
    """
    remote = is_remote(data.root)
    pause = (3.0 if remote else 0.3) if every is None else every
    tail, shown = JournalTail(data, run), set[str]()
    done = threading.Event()

    def show_new_records() -> None:
        for record in tail.new_records():
            if (line := record.get("note", "")) and line not in shown:
                shown.add(line)
                progress.say(line)
            elif "outcome" in record:
                outcome = record["outcome"]
                progress.advance(1, outcome["error_code"] or outcome["video_id"])

    def show_until_done() -> None:
        compacted = time.monotonic()
        while not done.wait(pause):
            with suppress(StoreRefused):  # perhaps the next time
                show_new_records()
            if time.monotonic() - compacted > compact_every:
                compacted = time.monotonic()
                with suppress(NoRoom, StoreRefused, Held):  # what matters the workers meet as well
                    merge_journals(data)

    thread = threading.Thread(target=show_until_done, name="ingest progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(StoreRefused):
            show_new_records()
