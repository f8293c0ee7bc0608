"""What became of each video, recorded at once: lines per worker (:mod:`journal_files`).

A journal survives a kill: a record is wholly in it, or not at all. The ledger takes journals in.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.journal_files import (
    LineObjects,
    append_line,
    journal_sizes,
    new_file,
    read_lines,
)
from fsh.pipeline.ingest.lists.requests import Request
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import is_remote
from fsh.schemas.plain import from_plain
from fsh.schemas.tables.records import ErrorClass, Source, SourceState

#: Files that are read at the same time.
_AT_ONCE = 8


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
    """One worker's lines: a record is wholly there, and kept, or not at all."""

    def __init__(self, data: DataFolder, run: str = "") -> None:
        """
        Args:
            run: name of the run that it belongs to.
        """
        self.path = data.journals / f"{run}{uuid.uuid4().hex}.jsonl"
        self._objects = LineObjects(self.path) if is_remote(self.path) else None
        self._descriptor = -1 if self._objects else new_file(self.path)

    def append(self, job: Job, outcome: FetchOutcome) -> None:
        """Raises:
        NoRoom: if there is no room for it; the journal is as it was before.
        StoreRefused: if the store does not take it.
        """
        self._write(JournalRecord(job.requests, outcome).to_json())

    def note(self, line: str) -> None:
        """Add a line for the user, which is shown while the run goes on."""
        self._write({"note": line})

    def close(self) -> None:
        if not self._objects:
            os.close(self._descriptor)

    def _write(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        if self._objects:
            self._objects.append(line)
        else:
            append_line(self._descriptor, self.path, line)


def read_journals(data: DataFolder, run: str = "") -> Iterator[JournalRecord]:
    """The records of a run's journals, or of all, later ones last."""
    sizes = journal_sizes(data, run)
    with ThreadPoolExecutor(_AT_ONCE) as threads:  # a store takes its time for each answer
        for content in threads.map(lambda path: read_lines(path, 0, sizes[path]), sizes):
            for record in parse_journal(content):
                if "outcome" in record:
                    with contextlib.suppress(ValueError):  # one damaged line costs no other
                        yield JournalRecord.from_json(record)


def journal_files(data: DataFolder, run: str = "") -> list[Path]:
    """Those of a run's journals, or of all; oldest first, so that later records win."""
    return list(journal_sizes(data, run))


def parse_journal(content: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of a journal: records and notes. A line that a kill cut off is left out."""
    for line in content.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(record := json.loads(line), dict):
                yield record
