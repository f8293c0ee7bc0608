"""The steps that engines' workers do: spans to stored clips, and plans to shards.

A bundle may be done twice, also at the same time, or half and then again elsewhere. Whatever is
finished is recognised, and results take their names in one step (:mod:`spans`, :mod:`shards`).
Everything is done in ``process``: what a step gives in ``finish_bundle`` is lost on
some engines, and a bundle can be anything from one element to all of them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import apache_beam as beam

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.shards.plans import StoredPlan
from fsh.pipeline.dataset.shards.writing import DamagedClip, write_shard
from fsh.pipeline.dataset.spans.copies import on_this_machine
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.store import is_finished, record_failure
from fsh.pipeline.dataset.spans.worker import analyze_in_worker
from fsh.pipeline.dataset.throughput import note_work
from fsh.pipeline.engine.idle_pool import NotWanted
from fsh.pipeline.engine.sandboxes import sandbox_pool
from fsh.pipeline.engine.ticket import RunStopped, Ticket
from fsh.pipeline.media.ffmpeg import binary
from fsh.pipeline.sandbox import JobAbandoned, JobFailed
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import NotAsRecorded
from fsh.schemas.tables.records import RejectReason

#: Seconds that starting a worker and loading its models may take, on top of the work.
_START = 60.0


class AnalyzeSpans(beam.DoFn):
    """Batches of spans to the ids of their videos, once their clips and scores are stored."""

    def __init__(
        self,
        data: DataFolder,
        config: ShardConfig,
        ticket: Ticket,
        at_once: int = 1,
        unseen: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            ticket: what lets a worker take part.
            at_once: spans of a batch that are worked on at the same time, each in a sandbox.
            unseen: paths of videos that are not even there for the command itself.
        """
        self._data, self._config, self._ticket = data, config, ticket
        self._at_once, self._unseen = at_once, unseen

    def setup(self) -> None:
        self._ticket.check(binary)
        self._given_up = threading.Event()
        most = _cores() if self._ticket.elsewhere else self._at_once
        self._sandboxes = sandbox_pool(self._config.memory_limit, most)

    def teardown(self) -> None:
        if not self._ticket.elsewhere:  # the run is at its end
            self._sandboxes.close()

    def process(self, batch: Sequence[Span]) -> Iterator[str]:
        """A batch's spans are done in their order, by whichever sandbox is free."""
        if min(self._at_once, len(batch)) == 1:
            for span in batch:
                self._work(span)
                yield span.video_id
            return
        with ThreadPoolExecutor(self._at_once) as threads:
            jobs = [(span, threads.submit(self._work, span)) for span in batch]
            try:
                for span, job in jobs:
                    job.result()
                    yield span.video_id
            except BaseException:  # Ctrl-C is one: what is running must not be waited for
                self._given_up.set()
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _wanted(self) -> bool:
        return not self._given_up.is_set() and not self._ticket.stop.is_set()

    def _work(self, span: Span) -> None:
        """Raises:
        RunStopped: if the run was stopped; the span is as it was.
        NoRoom, FshError: if this machine cannot go on.
        """
        if is_finished(self._data, span, self._config.analysis):
            return
        if not self._wanted():
            raise RunStopped
        self._check_link(span)
        timeout = _START + self._config.video_timeout * span.seconds
        analysis = self._config.analysis
        try:
            with on_this_machine(self._data, span, analysis) as data:
                try:
                    with self._sandboxes.taken(self._wanted) as sandbox:
                        job = (analyze_in_worker, data, span, analysis)
                        work = sandbox.run(*job, timeout=timeout, wanted=self._wanted)
                except (JobAbandoned, NotWanted):
                    raise RunStopped from None
                except JobFailed as failure:
                    if isinstance(failure.__cause__, NoRoom):
                        raise failure.__cause__ from None  # no fault of the video's
                    reason = RejectReason(failure.kind)
                    record_failure(data, span, analysis, reason, failure.detail)
                    return
            note_work(self._data, span, analysis, work)
        except NotAsRecorded as error:  # the video in the store
            record_failure(self._data, span, analysis, RejectReason.UNREADABLE, str(error))

    def _check_link(self, span: Span) -> None:
        """Raises:
        FshError: if the video is a link into a folder that this machine does not have.
        """
        path = self._data.root / span.path
        if not self._ticket.elsewhere or span.path in self._unseen:
            return
        if path.is_symlink() and not path.exists():
            raise FshError(
                f"a link to {path.readlink()}, which {self._ticket.here()} does not see",
                where=path,
                remedy="mount that folder on every worker, or `fsh ingest --copy` the files",
            )


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WriteShards(beam.DoFn):
    """Batches of plans to the paths of their shards; of what is damaged nothing is written.

    Plans are read where the command stored them.
    """

    def __init__(self, data: DataFolder, ticket: Ticket) -> None:
        self._data, self._ticket = data, ticket

    def setup(self) -> None:
        self._ticket.check(binary)

    def process(self, batch: Sequence[StoredPlan]) -> Iterator[str]:
        for stored in batch:
            self._ticket.go_on()
            plan = stored.read(self._data, self._ticket.patience)
            with suppress(DamagedClip):  # the command finds out which one it is
                yield write_shard(self._data, plan, self._ticket.go_on).path
