"""``fsh shard`` as a Beam pipeline: from stored videos to a data set."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.finish import ShardReport, shard_report, write_dataset
from fsh.pipeline.dataset.integrity import drop_changed_notes
from fsh.pipeline.dataset.selection import select_and_plan
from fsh.pipeline.dataset.shards import DamagedClip, ShardPlan, samples_of_clip, write_shard
from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.dataset.span_progress import progress_shown
from fsh.pipeline.dataset.span_store import discard_span_of, pending_spans, record_failure
from fsh.pipeline.dataset.span_worker import analyze_in_worker
from fsh.pipeline.dataset.spans import Span, plan_spans
from fsh.pipeline.locks import locked
from fsh.pipeline.media.ffmpeg import tell_choice
from fsh.pipeline.runner import LOCAL, make_pipeline
from fsh.pipeline.sandbox import JobFailed, SandboxPool
from fsh.schemas.card import ShardInfo
from fsh.schemas.disk import NoRoom, is_disk_full, refused_by_system
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.progress import Progress
from fsh.schemas.records import RejectReason

#: Seconds that starting a worker and loading its models may take, on top of the work.
_START = 60.0
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
        runner, workers, mode, flags: see :func:`fsh.pipeline.runner.make_pipeline`.

    Raises:
        FshError: if nothing is stored, or if more than ``config.max_failed`` of the spans
            failed. What did not fail is in the data set all the same.
    """
    began = time.monotonic()
    tell_choice(progress.say)
    data = DataFolder(data.root.resolve())
    spans = plan_spans(stored_sources(data), config.analysis.span)
    # Processes of Beam's, or threads that share sandboxes: either way one sandbox per worker.
    sandboxes = workers if runner in (None, LOCAL) and mode != "multi_processing" else 1
    worked = 0.0
    with locked(data, "shard"):
        drop_changed_notes(data, progress)
        pending = pending_spans(data, spans, config.analysis, retry_failed=config.retry_failed)
        for _ in range(_ROUNDS):
            worked += sum(span.seconds for span in pending)
            with (
                _told_once(data),
                progress_shown(data, config.analysis, spans, pending, progress),
                make_pipeline(runner, workers=workers, mode=mode, flags=flags) as pipeline,
            ):
                make_dataset(pipeline, data, config, pending, sandboxes)
            pending = pending_spans(data, spans, config.analysis, retry_failed=False)
            if not pending:
                break
            videos = ", ".join(sorted({span.video_id for span in pending}))
            progress.say(f"{data.work}: damaged results, analysed anew: {videos}")
        else:
            raise FshError(
                f"results of {len(pending)} spans were damaged again and again",
                where=data.work / pending[0].video_id,
                remedy="check the disk, move this folder away, and run again",
            )
    seconds = time.monotonic() - began
    return shard_report(data, config, spans, seconds=seconds, worked=worked)


@contextmanager
def _told_once(data: DataFolder) -> Iterator[None]:
    """What the system refused, in one line: Beam repeats an error's message, and adds to it."""
    try:
        yield
    except Exception as error:
        if is_disk_full(error):
            raise NoRoom(data.root) from error
        if isinstance(error, FshError) or not (told := refused_by_system(error, data.root)):
            raise
        raise told from error


def make_dataset(
    pipeline: beam.Pipeline,
    data: DataFolder,
    config: ShardConfig,
    pending: Sequence[Span],
    sandboxes: int,
) -> None:
    """All steps from spans to the data set's card.

    Stored results that turn out to be damaged are discarded, so that their spans are pending again
    afterwards, and the data set is left as it was.
    """
    _ = (
        pipeline
        | "Spans" >> beam.Create(pending)
        | "Spread spans" >> beam.Reshuffle()
        | "Find and crop clips" >> beam.ParDo(AnalyzeSpans(data, config, sandboxes))
        | "When all are done" >> beam.combiners.ToList()
        | "Filter, name, split, plan" >> beam.FlatMap(lambda _: select_and_plan(data, config))
        | "Spread shards" >> beam.Reshuffle()
        | "Write shards" >> beam.FlatMap(lambda plan: _written(data, plan))
        | "When all are written" >> beam.combiners.ToList()
        | "Write table and card" >> beam.Map(lambda infos: write_dataset(data, config, infos))
    )


def _written(data: DataFolder, plan: ShardPlan) -> Iterator[ShardInfo]:
    """The shard; nothing if tars of its clips are damaged, whose spans are then discarded."""
    try:
        yield write_shard(data, plan)
    except DamagedClip:
        for clip in plan.clips:
            try:
                for _ in samples_of_clip(data, clip):
                    pass
            except DamagedClip:
                discard_span_of(data, clip.tar)


class AnalyzeSpans(beam.DoFn):
    """Spans to the ids of their videos, once their clips and scores are stored.

    The bundle's spans are queued longest first, for whichever sandbox is free: Beam's own way
    of sharing out a local run is fixed beforehand and would leave workers idle.
    """

    def __init__(self, data: DataFolder, config: ShardConfig, sandboxes: int) -> None:
        self._data, self._config, self._sandboxes = data, config, sandboxes
        self._shared = Shared()

    def setup(self) -> None:
        self._pool = self._shared.acquire(
            lambda: SandboxPool(self._sandboxes, self._config.memory_limit)
        )

    def start_bundle(self) -> None:
        self._bundle: list[Span] = []

    def process(self, span: Span) -> None:
        self._bundle.append(span)

    def finish_bundle(self) -> Iterator:
        order = sorted(self._bundle, key=lambda span: (-span.seconds, span))
        jobs = [(span, self._start(span)) for span in order]
        for span, job in jobs:
            try:
                job.result()
            except JobFailed as failure:
                if isinstance(failure.__cause__, NoRoom):
                    raise failure.__cause__ from None  # no fault of the video's
                self._record(span, failure)
            yield GlobalWindows.windowed_value(span.video_id)

    def _start(self, span: Span) -> Future:
        return self._pool.submit(
            analyze_in_worker,
            self._data,
            span,
            self._config.analysis,
            timeout=_START + self._config.video_timeout * span.seconds,
        )

    def _record(self, span: Span, failure: JobFailed) -> None:
        reason = RejectReason(failure.kind)
        record_failure(self._data, span, self._config.analysis, reason, failure.detail)
