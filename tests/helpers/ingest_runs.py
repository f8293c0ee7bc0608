"""Whole runs of ingest, for the tests of what they record."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import loopback

from fsh.pipeline.ingest.download import DownloadLimits
from fsh.pipeline.ingest.journal import read_journals
from fsh.pipeline.ingest.options import IngestOptions
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.schemas.tables.parquet import read_sources
from fsh.schemas.tables.records import Source

_CHILD = textwrap.dedent(
    """
    import signal
    import sys
    from pathlib import Path
    # A shell starts what it runs in its background deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from fsh.pipeline.ingest.options import IngestOptions
    from fsh.pipeline.ingest.run import ingest
    from fsh.schemas.places.layout import DataFolder
    from fsh.schemas.progress import Silent
    ingest([sys.argv[1]], DataFolder(Path(sys.argv[2])), IngestOptions(workers=4), Silent())
    """
)


class RecordingProgress(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done = 0.0

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done += amount

    def say(self, line: str) -> None:
        self.lines.append(line)


def options(**changes) -> IngestOptions:
    """Options that let any number of videos fail."""
    limits = DownloadLimits(timeout=60)
    return IngestOptions(**{"limits": limits, "max_failures": 1.0} | changes)


def sources(data: DataFolder) -> list[Source]:
    return read_sources(data.sources)


def videos(data: DataFolder) -> list[str]:
    """Names of the stored videos."""
    return sorted(path.name for path in data.videos.iterdir())


def recorded_urls(data: DataFolder) -> set[str]:
    """URLs with a durable record: in the table or in a whole line of a journal."""
    found = {source.url for source in sources(data)} if data.sources.exists() else set()
    return found | {r.url for record in read_journals(data) for r in record.requests}


def start_ingest(listing: Path, data: DataFolder) -> subprocess.Popen:
    """An ingest with four workers in a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _CHILD, str(listing), str(data.root)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def slowly(body: bytes) -> loopback.Answer:
    """Answers with a video after 150 ms."""

    def answer(handler: loopback.Handler) -> None:
        time.sleep(0.15)
        handler.reply(200, body, Content_Type="video/mp4")

    return answer


def padded(video: bytes, size: int, number: int) -> bytes:
    """A video with ``size`` bytes of padding that no other number's has."""
    return video + (size + 8).to_bytes(4) + b"free" + bytes([number]) * size
