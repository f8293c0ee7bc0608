"""Ingest's workers: each fetches videos one by one and records what became of them."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from fsh.pipeline.ingest.failures import REMEDIES, Failure, Interrupted
from fsh.pipeline.ingest.fetch import Fetcher
from fsh.pipeline.ingest.journal import FetchOutcome, Job, Journal
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.ingest.stop_signal import StopSignal
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.disk import NoRoom
from fsh.schemas.layout import DataFolder
from fsh.schemas.records import ErrorClass, SourceState


class FetchVideos(beam.DoFn):
    """Fetches a video and writes what became of it into this worker's journal."""

    def __init__(self, data: DataFolder, options: IngestOptions, stop: StopSignal) -> None:
        self._data, self._options, self._stop = data, options, stop

    def setup(self) -> None:
        self._journal = Journal(self._data)
        self._noted: set[str] = set()
        prober = Prober()
        prober.sandbox.launch()
        self._fetcher = Fetcher(
            self._data,
            self._options,
            self._options.rate_limiter(self._data, self._stop.is_set),
            Tombstones.read(self._data),
            prober,
            stopped=self._stop.is_set,
            note=self._note,
        )

    def teardown(self) -> None:
        self._journal.close()
        self._fetcher.prober.sandbox.close()

    def process(self, job: Job) -> Iterator[str]:
        """Yields the cause, or 'stored'; nothing if the run was stopped meanwhile."""
        if self._stop.is_set():
            return
        try:
            outcome = self._outcome(job)
            if self._stop.is_set() and outcome.state is not SourceState.STORED:
                return  # whatever failed while all was taken down may be no fault of the video's
            self._journal.append(job, outcome)
        except Interrupted:
            return
        except NoRoom:
            self._stop.set()
            return
        yield outcome.error_code or "stored"

    def _outcome(self, job: Job) -> FetchOutcome:
        """What became of a video. A bug that it meets is recorded as its failure, not the run's."""
        try:
            return self._fetcher.fetch(job)
        except (NoRoom, Interrupted):
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            failure = Failure(ErrorClass.TRANSIENT, "internal", text)
            return FetchOutcome.of_failure(failure, job.attempts + 1)

    def _note(self, code: str) -> None:
        if code not in self._noted:
            self._noted.add(code)
            self._journal.note(REMEDIES[code])
