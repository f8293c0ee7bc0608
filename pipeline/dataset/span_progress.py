"""How far a span has come: told by its worker in a small file, read by whoever shows progress.

A file works on every runner that shares the data folder, and a worker that is killed leaves
nothing but a file that the next attempt deletes with the rest.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fsh.pipeline.dataset.config import Analysis
from fsh.pipeline.dataset.spans import Span
from fsh.schemas.layout import DataFolder
from fsh.schemas.progress import Progress

_FILE = "progress"


class Pulse:
    """Tells at most twice a second which share of a span is done."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: of the span's results.
        """
        self._file = folder / _FILE
        self._told = time.monotonic()

    def at(self, share: float) -> None:
        """``share`` of the work, 0 to 1, is done."""
        now = time.monotonic()
        if now - self._told >= 0.5:
            self._told = now
            self._file.write_text(f"{min(1.0, max(0.0, share)):.4f}")

    def end(self) -> None:
        self._file.unlink(missing_ok=True)


def read(folder: Path) -> float:
    """The share of a span's work that is done; 0 if nothing is known."""
    try:
        return float((folder / _FILE).read_text())
    except (OSError, ValueError):  # not begun, just ended, or read while it is being written
        return 0.0


@contextmanager
def watched(
    data: DataFolder,
    analysis: Analysis,
    todo: Sequence[Span],
    left: Sequence[Span],
    progress: Progress,
) -> Iterator[None]:
    """Show progress while a pipeline runs, on whatever runner, by looking at what spans leave."""
    total = sum(span.seconds for span in todo)
    left_of = {span.table(data, analysis): span.seconds for span in left}
    progress.start("videos", total, "s of video", done=total - sum(left_of.values()))
    lengths, clips, began = dict(left_of), Counter[Path](), time.monotonic()
    stop = threading.Event()

    def look() -> None:
        moved = 0.0
        for table in list(left_of):
            done = table.is_file()
            rest = 0.0 if done else lengths[table] * (1 - read(table.parent))
            if rest >= left_of[table]:
                continue
            clips[table] = len(list(table.parent.glob("*.tar")))
            moved += left_of[table] - rest
            left_of[table] = rest
            if done:
                del left_of[table]
        if moved:
            rate = clips.total() / (time.monotonic() - began)
            progress.advance(moved, f"{rate:.1f} clips/s")

    def watch() -> None:
        while not stop.wait(0.5):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        look()
        progress.stop()
