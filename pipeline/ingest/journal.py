"""What became of each video, recorded at once: one append-only file per worker.

A journal survives a kill: a record is wholly in it, or not at all. The ledger takes journals in.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.requests import Request
from fsh.schemas.places.disk import explaining_refusals
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.plain import from_plain
from fsh.schemas.tables.records import ErrorClass, Source, SourceState


@dataclass(frozen=True)
class FetchOutcome:
    """What became of one video: the fields of a :class:`Source` that all its requests share."""

    state: SourceState
    error_class: ErrorClass | None = None
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
    file_start: float | None = None
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
    def of_failure(cls, failure: Failure, attempts: int) -> FetchOutcome:
        """The outcome of a fetch that failed just now."""
        return cls(
            state=failure.state,
            error_class=failure.error_class,
            error_code=failure.code,
            error=failure.text,
            attempts=attempts,
            last_tried=now(),
        )

    @classmethod
    def of_source(cls, source: Source) -> FetchOutcome:
        """The outcome that a source of the ledger had."""
        return cls(**{field.name: getattr(source, field.name) for field in fields(cls)})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FetchOutcome:
        """The outcome that :meth:`to_json` was given.

        Raises:
            ValueError: if it is none; fields of a newer version are left out.
        """
        return from_plain(cls, {**values, "error_class": values.get("error_class") or None})

    def to_json(self) -> dict[str, Any]:
        """As a journal holds it."""
        return {**asdict(self), "error_class": self.error_class or ""}


@dataclass(frozen=True)
class Job:
    """One video to fetch, for all requests that want it.

    Attributes:
        key: which video (:func:`fsh.schemas.urls.source_key`).
        requests: who wants it; the first one's URL is fetched.
        attempts: how often it was tried in earlier runs.
    """

    key: str
    requests: tuple[Request, ...]
    attempts: int = 0


@dataclass(frozen=True)
class JournalRecord:
    """A finished job, as a journal holds it."""

    requests: tuple[Request, ...]
    outcome: FetchOutcome

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JournalRecord:
        """Raises:
        ValueError: if it is none.
        """
        outcome = values.get("outcome")
        if not isinstance(outcome, dict):
            raise ValueError("no outcome")
        record = cls(
            from_plain(tuple[Request, ...], values.get("requests")),
            FetchOutcome.from_json(outcome),
        )
        for part in (*map(asdict, record.requests), asdict(record.outcome)):
            for name, value in part.items():
                if isinstance(value, int) and abs(value) >= (2**63 if name == "bytes" else 2**31):
                    raise ValueError(f"{name}: {value} is too large for a table")
        return record

    def to_json(self) -> dict[str, Any]:
        return {
            "requests": [asdict(request) for request in self.requests],
            "outcome": self.outcome.to_json(),
        }


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class Journal:
    """One worker's append-only file: a record is wholly in it and on the disk, or not at all."""

    def __init__(self, data: DataFolder, run: str = "") -> None:
        """
        Args:
            run: name of the run that it belongs to, with which its own begins.
        """
        folder = data.journals
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{run}{uuid.uuid4().hex}.jsonl"
        self._descriptor = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def append(self, job: Job, outcome: FetchOutcome) -> None:
        """Raises:
        NoRoom: if there is no room for it; the file is as it was before.
        """
        self._write(JournalRecord(job.requests, outcome).to_json())

    def note(self, line: str) -> None:
        """Add a line for the user, which is shown while the run goes on."""
        self._write({"note": line})

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        size = os.fstat(self._descriptor).st_size
        with explaining_refusals(self.path):
            try:
                written = os.write(self._descriptor, line)
                if written < len(line):
                    raise OSError(errno.ENOSPC, "short write")
                os.fsync(self._descriptor)
            except OSError:
                with contextlib.suppress(OSError):  # a device that cannot be cut has kept nothing
                    os.ftruncate(self._descriptor, size)
                raise


def read_journals(data: DataFolder, run: str = "") -> Iterator[JournalRecord]:
    """The records of a run's journals, or of all, later ones last."""
    for path in journal_files(data, run):
        for record in parse_journal(path.read_bytes()):
            if "outcome" in record:
                with contextlib.suppress(ValueError):  # one damaged line costs no other
                    yield JournalRecord.from_json(record)


def parse_journal(content: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of a journal: records and notes. A line that a kill cut off is left out."""
    for line in content.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(record := json.loads(line), dict):
                yield record


def journal_files(data: DataFolder, run: str = "") -> list[Path]:
    """Those of a run, or all; oldest first, so that later records win."""
    paths = data.journals.glob(f"{run}*.jsonl")
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))
