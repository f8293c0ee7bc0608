"""From stored videos to a data set: the graph, and the thin steps it is made of."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared

from fsh.pipeline.dataset import shards, spans
from fsh.pipeline.dataset.assignment import places
from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.filters import reject
from fsh.pipeline.dataset.span_progress import watched
from fsh.pipeline.dataset.spans import Span
from fsh.pipeline.locks import locked
from fsh.pipeline.runner import LOCAL, make_pipeline
from fsh.pipeline.sandbox import KINDS, JobFailed, SandboxPool
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.card import DatasetCard, ShardInfo
from fsh.schemas.errors import FshError
from fsh.schemas.layout import SPLITS, DataFolder
from fsh.schemas.progress import Progress
from fsh.schemas.tables import CLIPS, read_table, to_table, write_table

#: Seconds that starting a worker and loading its models may take, on top of the work.
_START = 60.0


@dataclass(frozen=True)
class ShardReport:
    """What a run found and made.

    Attributes:
        videos: stored videos.
        clips_kept: clips in the shards.
        clips_rejected: reason to number of tracks, and of videos that gave none.
        samples, shards: in the data set.
        seconds: that the run took.
        realtime_factor: seconds of video worked on in this run, per second.
    """

    videos: int
    clips_kept: int
    clips_rejected: dict[str, int]
    samples: int
    shards: int
    seconds: float
    realtime_factor: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


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

    Raises:
        FshError: if nothing is stored, or if more than ``config.max_failed`` of the spans
            failed. What did not fail is in the data set all the same.
    """
    began = time.monotonic()
    data = DataFolder(data.root.resolve())
    todo = spans.plan_spans(spans.stored(data), config.analysis.span)
    left = spans.pending(data, todo, config.analysis, retry_failed=config.retry_failed)
    # Processes of Beam's, or threads that share sandboxes: either way one sandbox per worker.
    pool = workers if runner in (None, LOCAL) and mode != "multi_processing" else 1
    with (
        locked(data, "shard"),
        watched(data, config.analysis, todo, left, progress),
        make_pipeline(runner, workers=workers, mode=mode, flags=flags) as pipeline,
    ):
        _ = (
            pipeline
            | "Spans" >> beam.Create(left)
            | "Spread spans" >> beam.Reshuffle()
            | "Find and crop clips" >> beam.ParDo(Analyze(data, config, pool))
            | "When all are done" >> beam.combiners.ToList()
            | "Filter, name, split, plan" >> beam.FlatMap(lambda _: settle(data, config))
            | "Spread shards" >> beam.Reshuffle()
            | "Write shards" >> beam.Map(lambda plan: shards.write_shard(data, plan))
            | "When all are written" >> beam.combiners.ToList()
            | "Describe" >> beam.Map(lambda written: describe(data, config, written))
        )
    seconds = time.monotonic() - began
    worked = sum(span.seconds for span in left)
    return report(data, config, len(todo), seconds=seconds, worked=worked)


class Analyze(beam.DoFn):
    """Spans to spans, with their clips and scores stored.

    The bundle's spans are queued longest first, for whichever sandbox is free: Beam's own way
    of sharing out a local run is fixed beforehand and would leave workers idle.
    """

    def __init__(self, data: DataFolder, config: ShardConfig, workers: int) -> None:
        self._data, self._config, self._workers = data, config, workers
        self._shared = Shared()

    def setup(self) -> None:
        self._pool = self._shared.acquire(
            lambda: SandboxPool(self._workers, self._config.memory_limit)
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
                self._record(span, failure)
            yield GlobalWindows.windowed_value(span.video_id)

    def _start(self, span: Span) -> Future:
        return self._pool.submit(
            spans.analyze,
            self._data.root,
            span,
            self._config.analysis,
            timeout=_START + self._config.video_timeout * span.seconds,
        )

    def _record(self, span: Span, failure: JobFailed) -> None:
        analysis = self._config.analysis
        spans.record_failure(self._data.root, span, analysis, failure.kind, failure.detail)


def settle(data: DataFolder, config: ShardConfig) -> list[shards.ShardPlan]:
    """Judge, name and place every clip of the finished spans, and plan the shards.

    It looks at nothing but what is stored, so it gives the same whoever did the work, and when.
    """
    requests = spans.stored(data)
    todo = spans.plan_spans(requests, config.analysis.span)
    rows = spans.read_rows(data, todo, config.analysis)
    for row in rows:
        row["reason"] = reject(row, config.filters, config.analysis.spec)
        row["kept"] = not row["reason"]
    kept = [row for row in rows if row["kept"]]
    by_video: dict[str, list[dict]] = {}
    for request in requests:
        by_video.setdefault(request["video_id"], []).append(request)
    held = Tombstones.read(data).pinned
    for row, place in zip(kept, places(kept, by_video, config.same_person, held), strict=True):
        row |= {"identity": place.identity, "identity_from": place.source, "split": place.split}
    plans = [
        plan
        for split in SPLITS
        for plan in shards.plan(
            split,
            [
                shards.Entry(r["clip_id"], r["identity"], r["tar"], size_of(data, r["tar"]))
                for r in kept
                if r["split"] == split
            ],
            config.shard_bytes,
            held.shards.get(split, 1),
        )
    ]
    columns = [{key: value for key, value in row.items() if key != "tar"} for row in rows]
    write_table(to_table(columns, CLIPS), settled(data), CLIPS)
    return plans


def settled(data: DataFolder) -> Path:
    """The clips table before it is known where in a shard each clip lies."""
    return data.work / "settled.parquet"


def size_of(data: DataFolder, tar: str) -> int:
    return (data.root / tar).stat().st_size


def describe(data: DataFolder, config: ShardConfig, written: list[ShardInfo]) -> None:
    """Write the clips table and the card of the data set, and clear away what is not in it."""
    order = sorted(written, key=lambda info: (SPLITS.index(info.split), info.path))
    rows = read_table(settled(data), CLIPS).to_pylist()
    places = {
        clip: (info.path, *place)
        for info in order
        for clip, place in shards.places_in(data, info).items()
    }
    for row in rows:
        if row["kept"]:
            row["shard"], row["offset"], row["bytes"] = places[row["clip_id"]]
    write_table(to_table(rows, CLIPS), data.clips, CLIPS)
    counts = shards.counts_of(rows, order)
    DatasetCard(config.analysis.spec, tuple(order), counts, made_with(config)).write(data.card)
    shards.remove_stale(data, order)
    todo = spans.plan_spans(spans.stored(data), config.analysis.span)
    spans.remove_stale(data, todo, config.analysis)
    settled(data).unlink()


def made_with(config: ShardConfig) -> dict[str, str]:
    """Configuration and versions, for the card."""
    names = ("fsh", "apache-beam", "dlib-bin", "ffmpeg-python", "numpy", "opencv-python")
    known = {}
    for name in (*names, "scenedetect"):
        try:
            known[name] = version(name)
        except PackageNotFoundError:  # run from a checkout
            known[name] = "unknown"
    return known | {"config_hash": config.hash, "backend": config.analysis.spec.backend}


def report(
    data: DataFolder, config: ShardConfig, total: int, *, seconds: float, worked: float
) -> ShardReport:
    """What the finished tables say.

    Raises:
        FshError: if too many of the ``total`` spans failed.
    """
    card = DatasetCard.read(data.card)
    table = read_table(data.clips, CLIPS)
    reasons = Counter(reason for reason in table["reason"].to_pylist() if reason)
    failed = sum(reasons[kind] for kind in KINDS)
    if failed > config.max_failed * total:
        causes = ", ".join(f"{reasons[kind]} {kind}" for kind in KINDS if reasons[kind])
        raise FshError(
            f"{failed} of {total} spans failed ({causes})",
            where=data.clips,
            remedy="see the column error; run again with retry once the cause is gone",
        )
    return ShardReport(
        videos=card.counts["videos"],
        clips_kept=card.counts["clips"],
        clips_rejected=dict(sorted(reasons.items())),
        samples=card.counts["samples"],
        shards=len(card.shards),
        seconds=round(seconds, 3),
        realtime_factor=round(worked / seconds, 3),
    )
