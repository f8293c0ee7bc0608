"""``fsh forget``: everything a data folder holds of some videos or people, taken out of it.

The tombstones are written first, and nothing else has to be remembered: they hold salted hashes of
every name the erased have. Then whatever they cover is removed. So after a kill at any moment the
same command finishes the job, and the folder is the same to the byte as without the kill.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.settling.assignment import pin_assignments
from fsh.pipeline.dataset.shards.plans import ShardClip, plan_shards
from fsh.pipeline.erasure.clip_tars import ClipTars
from fsh.pipeline.erasure.plan import ErasurePlan, known_clips, known_sources
from fsh.pipeline.erasure.removal import remove_erased
from fsh.pipeline.locks import locked
from fsh.pipeline.tombstones import PinnedAssignments, Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import SPLITS, DataFolder, shard_number
from fsh.schemas.places.stores import StoreRefused, is_remote
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.records import Clip, Source, SourceState


def erase(
    data: DataFolder,
    plan: ErasurePlan,
    *,
    config: ShardConfig | None = None,
    step: Callable[[str], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Tombstones:
    """Carry out a plan, and whatever an earlier, interrupted call left to do.

    Args:
        config: how the data set was sharded, if not by default.
        step: called with the name of each step before it.
        say: is told, in one line each, what was damaged and what became of it.

    Returns:
        The tombstones afterwards.

    Raises:
        FshError: if the folder is in use.
    """
    config = config or ShardConfig()
    with locked(data, by="forget"), locked(data, "shard", by="forget"):
        step("tombstones")
        before = Tombstones.read(data)
        erased = _with_plan(before, plan)
        if erased != before:
            erased = _with_shards(erased, plan, data)
            pinned = _pinned(data, frozenset(plan.videos), erased, config)
            Tombstones(erased.salt, erased.marks, pinned).write(data)
        remove_erased(data, Tombstones.read(data), step, say)
        return Tombstones.read(data)


def _with_plan(erased: Tombstones, plan: ErasurePlan) -> Tombstones:
    """The tombstones, and every name of what the plan takes."""
    for person in plan.people:
        erased = erased.adding(identity=person)
    for video in plan.videos:
        erased = erased.adding(video=video)
    for key in plan.keys:
        erased = erased.adding(key=key)
    for sha256 in plan.contents:
        erased = erased.adding(sha256=sha256)
    return erased


def _with_shards(erased: Tombstones, plan: ErasurePlan, data: DataFolder) -> Tombstones:
    """The tombstones, and the content of shards in a store, of which machines have copies."""
    if not is_remote(data.root):
        return erased
    try:
        shards = DatasetCard.read(data.card).shards
    except StoreRefused:
        raise
    except FshError:  # none, or a damaged one
        return erased
    for info in shards:
        if info.path in plan.shards:
            erased = erased.adding(sha256=info.sha256)
    return erased


def _pinned(
    data: DataFolder, gone: frozenset[str], erased: Tombstones, config: ShardConfig
) -> PinnedAssignments:
    """What the rest of the data set must keep, so that sharding again gives what is there.

    Args:
        gone: ids of the videos that are erased now.
        erased: the tombstones, with what is pinned since earlier erasures.
    """
    sources: dict[str, list[Source]] = defaultdict(list)
    for source in known_sources(data):
        if source.state is SourceState.STORED:
            sources[source.video_id].append(source)
    kept = [clip for clip in known_clips(data) if clip.kept and clip.video_id in sources]
    pinned = pin_assignments(kept, gone, sources, config.same_person, erased.pinned)
    least, tars = dict(pinned.shards), ClipTars(data)
    for split in SPLITS:
        count = _least_shards(tars, split, kept, gone, least.get(split, 1), config)
        if count is not None:
            least[split] = count
    return PinnedAssignments(pinned.names, pinned.splits, least)


def _least_shards(
    tars: ClipTars,
    split: str,
    kept: Sequence[Clip],
    gone: frozenset[str],
    least: int,
    config: ShardConfig,
) -> int | None:
    """How many shards a split has, if it would be divided into fewer without the erased clips."""
    clips = [clip for clip in kept if clip.split == split]
    numbers = [shard_number(clip.shard) for clip in clips if clip.shard]
    present = max([least, *(number + 1 for number in numbers)])
    entries = []
    for clip in clips:
        if clip.video_id in gone:
            continue
        name = clip.clip_id or ""
        sizes = list(tars.of(name).values())
        size = sizes[0] if sizes else clip.bytes or 0
        entries.append(ShardClip(name, clip.identity or "", "", size))
    planned = plan_shards(split, entries, config.shard_bytes)
    return present if present > 1 and len(planned) < present else None
