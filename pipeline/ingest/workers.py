"""Ingest's workers: each fetches videos one by one and writes down what became of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apache_beam as beam

from fsh.pipeline.ingest.download import Limits
from fsh.pipeline.ingest.failures import REMEDIES, DiskFull
from fsh.pipeline.ingest.fetch import Fetcher, Interrupted, Settings
from fsh.pipeline.ingest.journal import Job, Journal, Outcome, now
from fsh.pipeline.ingest.ledger import RETRIES
from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.ingest.rate_limit import Governor
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder

#: Set when this process's workers shall leave off: the disk is full, or the user said so.
STOP = threading.Event()


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        copy: copy local files instead of linking to them.
        license: 'any', or 'cc': only what states a Creative Commons licence.
        retry: which failures of earlier runs are tried again: none, transient, permanent, all.
        rate_per_hour: videos an hour from YouTube; 0: no limit.
        host_rate_per_hour: requests an hour to each other host; 0: no limit. Loopback has none.
        rates: requests an hour to named hosts, before the above.
        workers: videos fetched at a time; 0: 8 if any comes from the net, else one per core.
        max_failures: share of failed videos above which the run is a failure.
        cookies: a cookie file for video sites.
        runner, flags: Beam's; None is this machine.
    """

    copy: bool = False
    license: str = "any"
    retry: str = "transient"
    rate_per_hour: float = 300.0
    host_rate_per_hour: float = 3600.0
    rates: dict[str, float] = field(default_factory=dict)
    workers: int = 0
    max_failures: float = 0.5
    cookies: Path | None = None
    limits: Limits = field(default_factory=Limits)
    runner: str | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.license not in ("any", "cc"):
            raise FshError(f"--license is any or cc, not {self.license}")
        if self.retry not in RETRIES:
            raise FshError(f"--retry is {', '.join(RETRIES)}, not {self.retry}")
        if self.cookies and not self.cookies.is_file():
            raise FshError("no such cookie file", where=self.cookies)

    def governor_rates(self) -> dict[str, float]:
        return {urls.YOUTUBE: self.rate_per_hour, **self.rates}


class FetchVideos(beam.DoFn):
    """Fetches a video and writes what became of it into this worker's journal."""

    def __init__(self, data: DataFolder, options: IngestOptions) -> None:
        self._data, self._options = data, options

    def setup(self) -> None:
        self._journal = Journal(self._data)
        self._told: set[str] = set()
        settings = Settings(
            copy=self._options.copy,
            license=self._options.license,
            cookies=self._options.cookies,
            limits=self._options.limits,
        )
        prober = Prober()
        prober.sandbox.launch()
        self._fetcher = Fetcher(
            self._data,
            settings,
            governor_of(self._data, self._options),
            Tombstones.read(self._data),
            prober,
            stopped=STOP.is_set,
            note=self._note,
        )

    def teardown(self) -> None:
        self._journal.close()
        self._fetcher.prober.sandbox.close()

    def process(self, job: Job) -> Iterator[str]:
        """Yields the cause, or 'stored'; nothing if the run was stopped meanwhile."""
        if STOP.is_set():
            return
        try:
            outcome = self._outcome(job)
            self._journal.append(job, outcome)
        except Interrupted:
            return
        except DiskFull:
            STOP.set()
            return
        yield outcome.error_code or "stored"

    def _outcome(self, job: Job) -> Outcome:
        """One video's bug is that video's failure, recorded as such, and never the run's."""
        try:
            return self._fetcher.fetch(job)
        except (DiskFull, Interrupted):
            raise
        except Exception as error:
            return Outcome(
                state="failed",
                error_class="transient",
                error_code="internal",
                error=f"{type(error).__name__}: {error}"[:500],
                attempts=job.attempts + 1,
                last_tried=now(),
            )

    def _note(self, code: str) -> None:
        if code not in self._told:
            self._told.add(code)
            self._journal.note(REMEDIES[code])


def governor_of(data: DataFolder, options: IngestOptions) -> Governor:
    folder = data.sources.parent
    return Governor(
        folder / "governor.json",
        options.governor_rates(),
        options.host_rate_per_hour,
        stopped=STOP.is_set,
    )
