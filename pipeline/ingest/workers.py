"""Ingest's workers: each fetches videos one by one and records what became of them."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import apache_beam as beam

from fsh.pipeline.engine.idle_pool import IdlePool
from fsh.pipeline.engine.stop_signal import StopSignal
from fsh.pipeline.engine.ticket import Ticket
from fsh.pipeline.ingest.failures import REMEDIES, Failure, Interrupted
from fsh.pipeline.ingest.fetch import Fetcher
from fsh.pipeline.ingest.journal import FetchOutcome, Job, Journal
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.ingest.progress import JournalTail
from fsh.pipeline.media.ffmpeg import binary
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.ids import digest
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import StoreRefused
from fsh.schemas.tables.records import ErrorClass, SourceState


class FetchVideos(beam.DoFn):
    """Fetches a video and writes what became of it into a journal.

    Engines may do a job twice, also at the same time: the second one waits for the first and then
    finds it recorded.
    """

    def __init__(
        self,
        data: DataFolder,
        options: IngestOptions,
        stop: StopSignal,
        ticket: Ticket | None = None,
    ) -> None:
        """
        Args:
            ticket: what lets a worker of an engine take part; None: it is this command's own.
        """
        self._data, self._options, self._stop, self._ticket = data, options, stop, ticket
        self._shared = ticket is not None  # else every job is done once, here

    def setup(self) -> None:
        if self._ticket:
            self._ticket.check(binary)
        self._desks = _desks(self._data, self._options, self._stop)

    def teardown(self) -> None:
        if not self._ticket:  # an engine's next bundle goes on with them
            self._desks.close()

    def process(self, job: Job) -> Iterator[str]:
        """Yields the cause, or 'stored'; nothing if the run was stopped meanwhile."""
        if self._stop.is_set():
            return
        with self._desks.taken() as desk:
            try:
                with _claimed(job, self._data, self._stop) if self._shared else nullcontext():
                    if self._shared and (before := desk.recorded(job)) is not None:
                        yield before
                        return
                    outcome = desk.fetch(job)
                    if self._stop.is_set() and outcome.state is not SourceState.STORED:
                        # Whatever failed while all was taken down may be no fault of the video's.
                        raise Interrupted
                    desk.journal.append(job, outcome)
            except Interrupted:
                return
            except NoRoom:
                self._stop.set()
                return
        yield outcome.error_code or "stored"


class Desk:
    """What one worker needs to fetch videos: a journal, a prober, a rate limiter.

    Attributes:
        journal: what became of videos goes there.
    """

    def __init__(self, data: DataFolder, options: IngestOptions, stop: StopSignal) -> None:
        self.journal = Journal(data, stop.run)
        self._tail, self._recorded = JournalTail(data, stop.run), dict[str, str]()
        self._noted: set[str] = set()
        prober = Prober()
        prober.sandbox.launch()
        self._fetcher = Fetcher(
            data,
            options,
            options.rate_limiter(data, stop.is_set),
            Tombstones.read(data),
            prober,
            stopped=stop.is_set,
            note=self._note,
        )

    def close(self) -> None:
        self.journal.close()
        self._fetcher.prober.sandbox.close()

    def recorded(self, job: Job) -> str | None:
        """The cause, or 'stored', if any worker of this run has done the job already."""
        for record in self._tail.new_records():
            if "outcome" in record:
                first = Request.from_json(record["requests"][0])
                self._recorded[first.request_id] = record["outcome"]["error_code"] or "stored"
        return self._recorded.get(job.requests[0].request_id)

    def fetch(self, job: Job) -> FetchOutcome:
        """What became of a video. A bug that it meets is recorded as its failure, not the run's."""
        try:
            return self._fetcher.fetch(job)
        except (NoRoom, Interrupted, StoreRefused):
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            failure = Failure(ErrorClass.TRANSIENT, "internal", text)
            return FetchOutcome.of_failure(failure, job.attempts + 1)

    def _note(self, code: str) -> None:
        if code not in self._noted:
            self._noted.add(code)
            self.journal.note(REMEDIES[code])


#: This process's desks, by their run's signal.
_pools: dict[Path, IdlePool[Desk]] = {}
_pools_lock = threading.Lock()


def _desks(data: DataFolder, options: IngestOptions, stop: StopSignal) -> IdlePool[Desk]:
    """The desks of a run in this process: as many as it does jobs at the same time."""
    with _pools_lock:
        if stop.path not in _pools:
            _pools[stop.path] = IdlePool(lambda: Desk(data, options, stop), Desk.close)
        return _pools[stop.path]


@contextmanager
def _claimed(job: Job, data: DataFolder, stop: StopSignal) -> Iterator[None]:
    """Hold a job, so that a second copy of it waits; where there are no locks, nobody waits.

    Raises:
        Interrupted: if the run was stopped meanwhile.
    """
    claims = data.incoming
    claims.mkdir(parents=True, exist_ok=True)
    claim = claims / f"{digest(job.requests[0].fetch_key)}.claim"
    handle = os.open(claim, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stop.is_set():
                    raise Interrupted from None
                time.sleep(0.2)
            except OSError:
                break
        yield
        with suppress(OSError):  # who waits for it sees the job recorded
            claim.unlink()
    finally:
        os.close(handle)
