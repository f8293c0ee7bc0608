"""From finished spans to a plan of the data set: which clips are kept, who they show, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from fsh.pipeline.dataset.config import FilterConfig, ShardConfig
from fsh.pipeline.dataset.settling.assignment import assign
from fsh.pipeline.dataset.settling.duplicates import with_duplicates
from fsh.pipeline.dataset.settling.filters import reject_reasons
from fsh.pipeline.dataset.settling.identity import LEAST_OVERLAP, overlap_with
from fsh.pipeline.dataset.shards.plans import ShardClip, ShardPlan, plan_shards
from fsh.pipeline.dataset.sources import by_video, stored_sources
from fsh.pipeline.dataset.spans.division import plan_spans
from fsh.pipeline.dataset.spans.store import FinishedClip, read_finished
from fsh.pipeline.tombstones import PinnedAssignments, Tombstones
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import SPLITS, DataFolder
from fsh.schemas.tables.conditions import Condition, all_hold
from fsh.schemas.tables.parquet import write_clips
from fsh.schemas.tables.records import Clip, RejectReason, Source, known


def select_and_plan(data: DataFolder, config: ShardConfig) -> list[ShardPlan]:
    """Filter, name and split the clips of all finished spans, and plan the shards.

    It reads nothing but what is stored, so it gives the same whoever did the work, and when. The
    clips go into :attr:`~fsh.schemas.places.layout.DataFolder.clips_without_shards`. Nothing is
    planned as long as a span's results are damaged, see :func:`read_finished`.
    """
    sources = stored_sources(data)
    spans = plan_spans(sources, config.analysis.span)
    finished = read_finished(data, spans, config.analysis)
    if finished is None:  # some are to be analysed again
        return []
    pinned = Tombstones.read(data).pinned
    clips = judged([f.clip for f in finished], sources, config)
    clips = assigned(clips, sources, config.same_person, pinned)
    write_clips(clips, data.clips_without_shards)
    ready = [
        (clip.split, shard_clip(clip, f))
        for clip, f in zip(clips, finished, strict=True)
        if clip.kept
    ]
    return [
        plan
        for split in SPLITS
        for plan in plan_shards(
            split,
            [clip for place, clip in ready if place == split],
            config.shard_bytes,
            pinned.shards.get(split, 1),
        )
    ]


def judged(clips: Iterable[Clip], sources: Sequence[Source], config: ShardConfig) -> list[Clip]:
    """The clips, each kept or with the reason why not, and what shows the same footage."""

    def chosen(some: Iterable[Clip]) -> list[Clip]:
        passed = filtered(some, config.filters, config.analysis.spec)
        return labelled(passed, sources, config.only)

    # Only what would be kept may stand for other clips of its footage.
    return chosen(with_duplicates(chosen(clips)))


def filtered(clips: Iterable[Clip], filters: FilterConfig, spec: FaceSpec) -> list[Clip]:
    """The clips with the reason why each is rejected, or as kept."""
    clips = list(clips)
    reasons = reject_reasons(clips, filters, spec)
    return [
        clip
        if (clip.reason, clip.kept) == (reason, reason is None)
        else replace(clip, reason=reason, kept=reason is None)
        for clip, reason in zip(clips, reasons, strict=True)
    ]


def labelled(
    clips: Sequence[Clip], sources: Iterable[Source], only: Sequence[Condition]
) -> list[Clip]:
    """The clips, those rejected that no source is of whose labels meet the conditions."""
    if not only:
        return list(clips)
    is_wanted, other = wanted_by_labels(sources, only), RejectReason.OTHER_LABEL
    return [
        replace(clip, kept=False, reason=other) if clip.kept and not is_wanted(clip) else clip
        for clip in clips
    ]


def wanted_by_labels(
    sources: Iterable[Source], only: Sequence[Condition]
) -> Callable[[Clip], bool]:
    """Tells of a clip, or of a stretch without one, whether a source of it meets conditions."""
    known_by = by_video(sources)

    def is_wanted(clip: Clip) -> bool:
        asked = known_by.get(clip.video_id, [])
        theirs = (s for s in asked if overlap_with(clip, s) >= LEAST_OVERLAP)
        return any(all_hold(only, source.label) for source in theirs)

    return is_wanted


def assigned(
    clips: Sequence[Clip], sources: Iterable[Source], same_person: float, pinned: PinnedAssignments
) -> list[Clip]:
    """The clips, those that are kept with their identities and splits; see :func:`assign`."""
    kept = [clip for clip in clips if clip.kept]
    assignments = assign(kept, by_video(sources), same_person, pinned)
    named = {
        clip.clip_id: replace(clip, identity=to.identity, identity_from=to.origin, split=to.split)
        for clip, to in zip(kept, assignments, strict=True)
    }
    return [named[clip.clip_id] if clip.kept else clip for clip in clips]


def shard_clip(clip: Clip, stored: FinishedClip) -> ShardClip:
    """A clip as part of a shard's plan.

    Args:
        stored: it, as it was finished.
    """
    place = stored.tar, stored.bytes
    return ShardClip(known(clip.clip_id), known(clip.identity), *place, clip.samples)
