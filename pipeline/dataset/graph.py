"""``fsh shard`` as two Beam graphs, spans and shards, and what is settled in between.

The graphs are short: each is elements and one step. What the second one needs is not passed on but
read from what is stored, because engines do not all bring a graph's results back, and because then
it makes no difference who did the work, and when: an earlier run, or the parts of an array job.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import apache_beam as beam

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.finish import (
    PartReport,
    ShardReport,
    part_report,
    shard_report,
    write_dataset,
)
from fsh.pipeline.dataset.integrity import drop_changed_notes
from fsh.pipeline.dataset.settling.selection import select_and_plan
from fsh.pipeline.dataset.shards.notes import written_as_planned
from fsh.pipeline.dataset.shards.plans import ShardPlan, stored
from fsh.pipeline.dataset.shards.writing import DamagedClip, samples_of_clip
from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.dataset.spans.division import Span, plan_spans
from fsh.pipeline.dataset.spans.progress import progress_shown, shards_shown
from fsh.pipeline.dataset.spans.store import discard_span_of, pending_spans
from fsh.pipeline.dataset.throughput import RunClock
from fsh.pipeline.dataset.workers import AnalyzeSpans, WriteShards
from fsh.pipeline.engine.parts import Part
from fsh.pipeline.engine.runner import Engine, OpenEngine, opened
from fsh.pipeline.engine.stop_signal import stop_signal
from fsh.pipeline.engine.ticket import Ticket
from fsh.pipeline.locks import locked
from fsh.pipeline.media.ffmpeg import tell_choice
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Progress
from fsh.schemas.shards.card import ShardInfo

#: Times that spans are worked on in one run, should what is stored of them be damaged.
_ROUNDS = 4


def shard(
    data: DataFolder,
    config: ShardConfig,
    *,
    runner: str | None = None,
    workers: int = 1,
    mode: str = "multi_threading",
    flags: Sequence[str] = (),
    progress: Progress,
) -> ShardReport:
    """Make the data set of what is stored. Finished work is kept; run again, it does the rest.

    Args:
        runner, workers, mode, flags: see :class:`fsh.pipeline.engine.runner.Engine`.

    Raises:
        FshError: if nothing is stored, or if more than ``config.max_failed`` of the spans
            failed. What did not fail is in the data set all the same.
    """
    began = time.monotonic()
    tell_choice(progress.say)
    data = DataFolder(data.root.absolute())
    spans = plan_spans(stored_sources(data), config.analysis.span)
    engine = Engine(runner, workers, mode, tuple(flags))
    worked, clock = 0.0, RunClock(engine.workers if engine.is_local else 0)
    with locked(data, "shard", say=progress.say), _at_work(data, engine, progress) as at_work:
        drop_changed_notes(data, progress)
        for number in range(_ROUNDS):
            retry = config.retry_failed and not number
            pending = pending_spans(data, spans, config.analysis, retry_failed=retry)
            if pending and number:
                videos = ", ".join(sorted({span.video_id for span in pending}))
                progress.say(f"{data.work}: damaged results, analysed anew: {videos}")
            worked += sum(span.seconds for span in pending)
            clock.expect(data, pending, config.analysis)
            with (
                clock.phase("spans"),
                progress_shown(data, config.analysis, spans, pending, progress),
            ):
                _analyze(at_work, data, config, pending)
            infos = _shards(at_work, data, config, progress, clock)
            if not (left := pending_spans(data, spans, config.analysis, retry_failed=False)):
                break
        else:
            raise FshError(
                f"results of {len(left)} spans were damaged again and again",
                where=data.work / left[0].video_id,
                remedy="check the disk, move this folder away, and run again",
            )
        if at_work.ticket.stop.is_set():
            what = "this run was stopped, or another has taken its place"
            raise FshError(what, where=data.root, remedy="run again: finished work is kept")
        with clock.phase("table"):
            write_dataset(data, config, infos)
        work = clock.record(data)
    seconds = time.monotonic() - began
    return shard_report(data, config, spans, seconds=seconds, worked=worked, work=work)


def shard_part(
    data: DataFolder,
    config: ShardConfig,
    part: Part,
    *,
    workers: int = 1,
    mode: str = "multi_threading",
    progress: Progress,
) -> PartReport:
    """Analyse a share of the spans, beside other parts; :func:`shard` then makes the data set.

    Raises:
        FshError: if nothing is stored, or a whole :func:`shard` is at work.
    """
    began = time.monotonic()
    data = DataFolder(data.root.absolute())
    every = plan_spans(stored_sources(data), config.analysis.span)
    # Of an order that only the list decides, so that a part is the same when it is started again.
    spans = part.of(sorted(every, key=_longest_first))
    engine = Engine(None, workers, mode)
    with (
        locked(data, "shard", part=str(part), say=progress.say),
        _at_work(data, engine, progress, part) as at_work,
    ):
        retry = config.retry_failed
        pending = pending_spans(data, spans, config.analysis, retry_failed=retry)
        with progress_shown(data, config.analysis, spans, pending, progress):
            _analyze(at_work, data, config, pending)
    seconds = time.monotonic() - began
    return part_report(data, config, str(part), spans, pending, seconds=seconds)


@contextmanager
def _at_work(
    data: DataFolder, engine: Engine, progress: Progress, part: Part | None = None
) -> Iterator[OpenEngine]:
    """An engine that is ready, as long as this run has not stopped."""
    with stop_signal(data, "shard", part.name if part else "") as stop:
        ticket = Ticket.of(data, stop, elsewhere=not engine.is_local)
        with opened(engine, ticket, progress) as at_work:
            yield at_work


def _longest_first(span: Span) -> tuple[float, Span]:
    return -span.seconds, span


def _analyze(
    at_work: OpenEngine, data: DataFolder, config: ShardConfig, pending: Sequence[Span]
) -> None:
    """Raises:
    FshError: if the workers left spans undone.
    """
    if not pending:
        return
    engine = at_work.engine
    at_once = engine.workers if engine.shares_sandboxes else 1
    videos = {span.path for span in pending} if at_work.ticket.elsewhere else ()
    unseen = frozenset(path for path in videos if not (data.root / path).exists())
    work = engine.batches(sorted(pending, key=_longest_first))
    step = AnalyzeSpans(data, config, at_work.ticket, at_once, unseen)

    def graph(pipeline: beam.Pipeline) -> None:
        _ = pipeline | "Spans" >> engine.elements(work) | "Find and crop clips" >> beam.ParDo(step)

    at_work.run(graph)
    if undone := pending_spans(data, pending, config.analysis, retry_failed=False):
        raise FshError(
            f"{len(undone)} of {len(pending)} spans were not finished by the workers",
            where=data.work,
            remedy="every worker must write into this folder; run again: it does the rest",
        )


def _shards(
    at_work: OpenEngine,
    data: DataFolder,
    config: ShardConfig,
    progress: Progress,
    clock: RunClock,
) -> list[ShardInfo]:
    """Settle what is in the data set, and write its shards; what they hold.

    Stored results that turn out to be damaged are discarded: their spans are pending afterwards.
    """
    with clock.phase("settle"):
        plans = select_and_plan(data, config)
    to_write = [plan for plan in plans if not written_as_planned(data, plan)]
    notes = [data.shard_note(plan.split, plan.number) for plan in to_write]
    for note in notes:
        note.unlink(missing_ok=True)  # until the new one is written, nothing is known
    if to_write:
        engine, step = at_work.engine, WriteShards(data, at_work.ticket)
        with (
            clock.phase("shards"),
            stored(data, to_write) as plans_there,
            shards_shown(data.shard_notes, notes, progress),
        ):
            work = [(plan,) for plan in plans_there]

            def graph(pipeline: beam.Pipeline) -> None:
                _ = (
                    pipeline
                    | "Shards" >> engine.elements(work)
                    | "Write shards" >> beam.ParDo(step)
                )

            at_work.run(graph)
    written = []
    for plan in plans:
        if info := written_as_planned(data, plan):
            written.append(info)
        elif not _discard_damaged(data, plan):
            raise FshError(
                "not written by the workers",
                where=data.shard(plan.split, plan.number),
                remedy="every worker must write into this folder; run again: it does the rest",
            )
    return written


def _discard_damaged(data: DataFolder, plan: ShardPlan) -> int:
    """Discard the spans of all clips of a shard whose tars are damaged; how many clips."""
    damaged = 0
    for clip in plan.clips:
        try:
            for _ in samples_of_clip(data, clip):
                pass
        except DamagedClip:
            damaged += 1
            discard_span_of(data, clip.tar)
    return damaged
