"""What became of a video, recorded at once: a file per worker that survives a kill."""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.failures import DiskFull
from fsh.pipeline.ingest.requests import Request
from fsh.schemas.layout import DataFolder


@dataclass(frozen=True)
class Outcome:
    """What became of one video: the columns that all its requests share."""

    state: str
    error_class: str = ""
    error_code: str = ""
    error: str = ""
    attempts: int = 0
    video_id: str = ""
    uploader: str = ""
    license: str = "unknown"
    upload_date: str = ""
    metadata: str = ""
    path: str = ""
    sha256: str = ""
    bytes: int | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    rotation: int | None = None
    video_codec: str = ""
    audio_codec: str = ""
    pixel_format: str = ""
    last_tried: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Outcome:
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Job:
    """One video to fetch, for all requests that want it.

    Attributes:
        key: which video (:func:`urls.source_key`).
        requests: who wants it; the first one's URL is fetched.
        attempts: how often it was tried in earlier runs.
    """

    key: str
    requests: tuple[Request, ...]
    attempts: int = 0


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class Journal:
    """One worker's append-only file: a record is wholly in it and on the disk, or not at all."""

    def __init__(self, data: DataFolder) -> None:
        folder = _journal_folder(data)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{uuid.uuid4().hex}.jsonl"
        self._descriptor = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def append(self, job: Job, outcome: Outcome) -> None:
        """Raises:
        DiskFull: if there is no room for it; the file is as it was before.
        """
        self._write(
            {
                "requests": [asdict(request) for request in job.requests],
                "outcome": asdict(outcome),
            }
        )

    def note(self, line: str) -> None:
        """Something worth telling the user, once."""
        self._write({"note": line})

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        size = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, "short write")
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):  # a device that cannot be cut has kept nothing
                os.ftruncate(self._descriptor, size)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(self.path) from error
            raise


def read_journals(data: DataFolder) -> Iterator[dict[str, Any]]:
    """The records of all journals; a line that a kill tore never was a finished record."""
    for path in journal_files(data):
        for record in parse_journal(path.read_bytes()):
            if "outcome" in record:
                yield record


def parse_journal(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def journal_files(data: DataFolder) -> list[Path]:
    """Oldest first, so that later records win."""
    paths = _journal_folder(data).glob("*.jsonl")
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _journal_folder(data: DataFolder) -> Path:
    return data.sources.parent / "journal"
