"""Where the time of ``fsh shard`` went: of a span, of a run, and of all runs of a data set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.places.stores import content_of
from fsh.schemas.places.temporary import replacing
from fsh.schemas.plain import from_plain, to_plain

#: What a worker's time goes into, in the order of the work.
STAGES: Mapping[str, str] = {
    "start": "loading code and models, once a worker",
    "decode": "reading pictures twice: all of them small, those of faces at full size",
    "cuts": "looking for cuts and fades",
    "detect": "finding faces",
    "track": "linking them to tracks",
    "crop": "cropping and scaling",
    "encode": "JPEG, and reading it back where landmarks are found in what is stored",
    "landmarks": "landmarks and meshes",
    "sound": "reading the sound",
    "scores": "embeddings and scores",
    "write": "samples and tables",
    "other": "all else",
}
#: Runs that are kept.
_MOST = 200
_VERSION = 1


@dataclass(frozen=True)
class SpanWork:
    """What a worker spent on one span of a video.

    Attributes:
        seconds: of video.
        clips: that were cropped.
        elapsed: seconds from the beginning to the end.
        cores: core-seconds by stage, those of ffmpeg included.
    """

    seconds: float
    clips: int
    elapsed: float
    cores: Mapping[str, float]

    @property
    def decoded(self) -> bool:
        """Whether pictures of the video were decoded; else it was made of stored results."""
        return self.cores.get("decode", 0) > 0


@dataclass(frozen=True)
class Work:
    """The same of several spans.

    Attributes:
        spans: how many.
    """

    spans: int = 0
    seconds: float = 0.0
    clips: int = 0
    elapsed: float = 0.0
    cores: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Iterable[SpanWork | Work]) -> Work:
        """The sum of spans, or of sums."""
        parts = list(parts)
        cores: Counter[str] = Counter()
        for part in parts:
            cores.update(part.cores)
        return cls(
            sum(part.spans if isinstance(part, Work) else 1 for part in parts),
            round(sum(part.seconds for part in parts), 3),
            sum(part.clips for part in parts),
            round(sum(part.elapsed for part in parts), 3),
            {name: round(cores[name], 3) for name in STAGES if cores[name]},
        )

    @property
    def per_minute(self) -> dict[str, float]:
        """Core-seconds per minute of video by stage; empty if nothing was done."""
        if not self.seconds:
            return {}
        return {name: round(60 * spent / self.seconds, 3) for name, spent in self.cores.items()}


@dataclass(frozen=True)
class RunWork:
    """What one run of ``fsh shard`` has added.

    Attributes:
        ended: UTC, ISO 8601.
        workers: at the same time; 0 if an engine decided.
        phases: seconds that the command waited for ``spans``, ``settle`` (filters, identities,
            splits), ``shards`` and ``table``.
        analysed: spans whose video was decoded, since the run before; those of parts of array jobs,
            and of runs that were stopped, are in it.
        remade: spans that were made of stored results.
        clips: cropped by this run itself.
    """

    ended: str
    workers: int
    phases: Mapping[str, float]
    analysed: Work
    remade: Work
    clips: int

    @property
    def clips_per_second(self) -> float | None:
        """Clips that this run cropped a second; None if it had no spans to work on."""
        waited = self.phases.get("spans", 0.0)
        return round(self.clips / waited, 3) if waited and self.clips else None


@dataclass(frozen=True)
class Throughput:
    """What all runs of a data set have spent, the last ones in detail.

    Attributes:
        analysed, remade: of all runs, see :class:`RunWork`.
        runs: the last ones, oldest first.
    """

    analysed: Work = Work()
    remade: Work = Work()
    runs: tuple[RunWork, ...] = ()

    def with_run(self, run: RunWork) -> Throughput:
        """With one more run."""
        return Throughput(
            Work.of([self.analysed, run.analysed]),
            Work.of([self.remade, run.remade]),
            (*self.runs, run)[-_MOST:],
        )

    def to_json(self) -> dict[str, Any]:
        return {"version": _VERSION, **to_plain(self)}

    def write(self, path: Path) -> None:
        """Raises:
        FshError: if the place cannot be written.
        """
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Throughput:
        """What is known; nothing if the file is missing, damaged, or of another version.

        It says nothing about the data, so a data set without it is whole.
        """
        try:
            known = json.loads(content_of(path))
            if known.pop("version") != _VERSION:
                return cls()
            return from_plain(cls, known)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, FshError):
            return cls()
