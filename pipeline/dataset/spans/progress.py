"""How far spans have come: each worker writes it into a small file, one thread reads and shows it.

A file works on every runner that shares the data folder; in an object store, where it would be a
request each time, only finished spans are counted. It lies beside the span's results and says
nothing about them: several workers on one span write the same file, whoever publishes removes it,
and what a killed run leaves goes when the data set is written.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.division import Span
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.span_layout import SpanFolder
from fsh.schemas.places.stores import StoreRefused, is_remote, sizes_of
from fsh.schemas.progress import Progress

#: Seconds between two writes of a file, and between two readings of all files.
_INTERVAL = 0.5
#: Seconds between two listings of a store, and how many times as long as one takes at least.
_LIST_EVERY, _LISTING_SHARE = 3.0, 20


class SpanProgress:
    """Writes which share of a span's work is done, at most twice a second."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            file: :attr:`fsh.schemas.places.span_layout.SpanFolder.progress`.
            clock: seconds since any moment.
        """
        self._file, self._clock = file, clock
        self._written = clock()

    def update(self, share: float) -> None:
        """``share`` of the work is done; it is limited to 0 to 1."""
        now = self._clock()
        if now - self._written >= _INTERVAL:
            self._written = now
            with suppress(FileNotFoundError):  # the video was forgotten meanwhile
                self._file.write_text(f"{min(1.0, max(0.0, share)):.4f}")

    def end(self) -> None:
        self._file.unlink(missing_ok=True)


def read_progress(file: Path) -> float:
    """The share of a span's work that is done; 0 if nothing is known."""
    try:
        return float(file.read_text())
    except (OSError, ValueError):  # not begun, just ended, or read while it is being written
        return 0.0


@contextmanager
def polled(read: Callable[[], object], progress: Progress, folder: Path) -> Iterator[None]:
    """Call ``read`` again and again meanwhile, and once more in the end; then stop the bar.

    Args:
        folder: that it reads; a store's is read less often.
    """
    stop = threading.Event()

    def read_until_stopped() -> None:
        pause = _LIST_EVERY if is_remote(folder) else _INTERVAL
        while not stop.wait(pause):
            began = time.monotonic()
            with suppress(StoreRefused):
                read()
            if is_remote(folder):
                pause = max(_LIST_EVERY, _LISTING_SHARE * (time.monotonic() - began))

    thread = threading.Thread(target=read_until_stopped, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with suppress(StoreRefused):
            read()
        progress.stop()


@contextmanager
def progress_shown(
    data: DataFolder,
    analysis: AnalysisConfig,
    spans: Sequence[Span],
    pending: Sequence[Span],
    progress: Progress,
) -> Iterator[None]:
    """Show progress while a pipeline works, on whatever runner, by reading the spans' folders.

    Args:
        spans: all spans of the data set.
        pending: those of them that the pipeline works on.
    """
    lengths = {span.folder(data, analysis): span.seconds for span in pending}
    total = sum(span.seconds for span in spans)
    progress.start("videos", total, "s of video", done=total - sum(lengths.values()))
    with polled(_FolderReader(data.work, lengths, progress).read, progress, data.work):
        yield


@contextmanager
def shards_shown(folder: Path, files: Iterable[Path], progress: Progress) -> Iterator[None]:
    """Show how many of these files of a folder, which are not there before, are there meanwhile."""
    left = set(files)
    progress.start("shards", len(left), "shards")

    def read() -> None:
        if there := set(sizes_of(folder, left)):
            left.difference_update(there)
            progress.advance(len(there))

    with polled(read, progress, folder):
        yield


class _FolderReader:
    """Advances a progress bar by what has changed in the spans' folders since it last read them."""

    def __init__(self, work: Path, lengths: dict[SpanFolder, float], progress: Progress) -> None:
        """
        Args:
            work: the folder that the spans' lie in.
            lengths: seconds of video of each span.
        """
        self._work, self._lengths, self._progress = work, lengths, progress
        self._left = dict(lengths)  # seconds of video, of spans that are not done
        self._clips: dict[SpanFolder, int] = {}
        self._began = time.monotonic()

    def read(self) -> None:
        moved = 0.0
        finished = sizes_of(self._work, [folder.clips for folder in self._left])
        for folder, before in list(self._left.items()):
            done = folder.clips in finished
            if is_remote(self._work) and not done:
                continue
            share = 1.0 if done else read_progress(folder.progress)
            left = self._lengths[folder] * (1 - share)
            if left >= before:
                continue
            if not is_remote(self._work):
                self._clips[folder] = len(list(folder.root.glob("*.tar")))
            moved += before - left
            self._left[folder] = left
            if done:
                del self._left[folder]
        if moved:
            rate = sum(self._clips.values()) / (time.monotonic() - self._began)
            self._progress.advance(moved, f"{rate:.1f} clips/s" if rate else "")
