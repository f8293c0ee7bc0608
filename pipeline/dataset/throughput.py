"""Where the time of runs went: what workers note of each span, and what the command makes of it.

A note lies in a folder of its own, whoever did the span and wherever; the run that makes the data
set takes all of them, those of parts and of runs that were stopped too, and removes them. They say
nothing about the data: one that cannot be read or written is left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.division import Span
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import (
    content_of,
    is_remote,
    listing,
    remove_objects,
    store_of,
    write_object,
)
from fsh.schemas.plain import from_plain, to_plain
from fsh.schemas.throughput import RunWork, SpanWork, Throughput, Work

#: What no span takes, seconds or clips: such a note is damaged.
_TOO_MUCH = 1e9


def note_of_span(data: DataFolder, span: Span, analysis: AnalysisConfig) -> Path:
    """Where it is noted what a span took; its name says of which video it is, until a dot."""
    return data.times / f"{span.video_id}.{span.folder(data, analysis).root.name}.json"


def note_work(data: DataFolder, span: Span, analysis: AnalysisConfig, work: SpanWork) -> None:
    """Note what a span took; what was noted of it before gives way."""
    path, content = note_of_span(data, span, analysis), json.dumps(to_plain(work)).encode()
    with suppress(OSError, FshError):
        if is_remote(path):
            write_object(path, content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@dataclass
class RunClock:
    """Measures a run of the command.

    Attributes:
        phases: seconds by phase so far.
        spans: names of the notes of spans that this run works on.
    """

    workers: int
    phases: dict[str, float] = field(default_factory=dict)
    spans: set[str] = field(default_factory=set)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What is done meanwhile belongs to a phase of :class:`RunWork`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - began

    def expect(self, data: DataFolder, spans: Iterable[Span], analysis: AnalysisConfig) -> None:
        """This run works on these spans."""
        self.spans |= {note_of_span(data, span, analysis).name for span in spans}

    def record(self, data: DataFolder) -> RunWork:
        """Add what this run, and others since the last one, have spent to what is known.

        To be called by who holds the data folder's lock. A run that had nothing to do is not worth
        a record. A kill between the record and the removal of the notes counts these twice.
        """
        notes = read_notes(data)
        done = [work for work in notes.values() if work]
        run = RunWork(
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            workers=self.workers,
            phases={name: round(seconds, 3) for name, seconds in self.phases.items()},
            analysed=Work.of(work for work in done if work.decoded),
            remade=Work.of(work for work in done if not work.decoded),
            clips=sum(work.clips for name, work in notes.items() if work and name in self.spans),
        )
        if notes:
            with suppress(OSError, FshError):
                Throughput.read(data.throughput).with_run(run).write(data.throughput)
                remove_notes(data, notes)
        return run


def read_notes(data: DataFolder) -> Mapping[str, SpanWork | None]:
    """What is noted of spans, by the note's name; None for one that cannot be read."""
    if is_remote(data.times):
        names = [name.rpartition("/")[2] for name in listing(data.times)]
    else:
        names = [path.name for path in data.times.glob("*.json")]
    return {name: _read(data.times / name) for name in sorted(names)}


def _read(path: Path) -> SpanWork | None:
    try:
        work = from_plain(SpanWork, json.loads(content_of(path)))
    except (OSError, ValueError, FshError):
        return None
    numbers = (work.seconds, work.clips, work.elapsed, *work.cores.values())
    return work if all(0 <= number < _TOO_MUCH for number in numbers) else None


def remove_notes(data: DataFolder, names: Iterable[str]) -> None:
    """Remove notes by their names; those that are gone are none the less removed."""
    paths = [data.times / name for name in names]
    if is_remote(data.times):
        remove_objects(data.times, [store_of(path)[1] for path in paths])
        return
    for path in paths:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # another worker's note is in it, or there never was one
        data.times.rmdir()
