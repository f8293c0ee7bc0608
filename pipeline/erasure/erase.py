"""``fsh forget``: everything a data folder holds of some videos or people, taken out of it.

The tombstones are written first and are all the intent there is: salted hashes of every name the
erased have. What follows is a sweep that removes whatever they cover, so that after a kill at any
moment the same command finishes the job, and the folder is the same to the byte as without the
kill.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from fsh.pipeline.dataset.assignment import pin_assignments
from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.shards import ShardClip, plan_shards
from fsh.pipeline.erasure.plan import Plan, Row, known_clips, known_sources
from fsh.pipeline.erasure.removal import sweep
from fsh.pipeline.locks import locked
from fsh.pipeline.tombstones import PinnedAssignments, Tombstones
from fsh.schemas.layout import SPLITS, DataFolder
from fsh.schemas.records import Clip, Source


def forget(
    data: DataFolder,
    wanted: Plan,
    *,
    config: ShardConfig | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Tombstones:
    """Carry out a plan, and whatever an earlier, interrupted call left to do.

    Args:
        config: how the data set was sharded, if not by default.
        step: told what comes next.

    Raises:
        FshError: if the folder is in use.
    """
    config = config or ShardConfig()
    with locked(data), locked(data, "shard"):
        step("tombstones")
        erased = Tombstones.read(data)
        before = erased
        for person in wanted.people:
            erased = erased.adding(identity=person)
        for name, values in (
            ("video", wanted.videos),
            ("key", wanted.keys),
            ("sha256", wanted.contents),
        ):
            for value in values:
                erased = erased.adding(**{name: value})
        if erased != before:
            held = _held(data, frozenset(wanted.videos), erased, config)
            Tombstones(erased.salt, erased.marks, held).write(data)
        sweep(data, Tombstones.read(data), step)
        return Tombstones.read(data)


def _held(
    data: DataFolder, gone: frozenset[str], erased: Tombstones, config: ShardConfig
) -> PinnedAssignments:
    """What the rest of the data set must keep, so that sharding again gives what is there."""
    requests: dict[str, list[Row]] = defaultdict(list)
    for row in known_sources(data):
        if row["state"] == "stored":
            requests[row["video_id"]].append(row)
    kept = [row for row in known_clips(data) if row["kept"] and row["video_id"] in requests]
    held = pin_assignments(
        [Clip.from_row(row) for row in kept],
        gone,
        {video: [Source.from_row(row) for row in rows] for video, rows in requests.items()},
        config.same_person,
        erased.pinned,
    )
    least = dict(held.shards)
    for split in SPLITS:
        part = [row for row in kept if row["split"] == split and row["video_id"] not in gone]
        numbers = [
            int(Path(row["shard"]).stem.rsplit("-", 1)[1])
            for row in kept
            if row["split"] == split and row["shard"]
        ]
        present = max([least.get(split, 1), *(number + 1 for number in numbers)])
        entries = []
        for row in part:
            tars = list((data.work / row["video_id"]).glob(f"*/{row['clip_id']}.tar"))
            size = tars[0].stat().st_size if tars else row["bytes"] or 0
            entries.append(ShardClip(row["clip_id"], row["identity"], "", size))
        planned = plan_shards(split, entries, config.shard_bytes)
        if present > 1 and len(planned) < present:
            least[split] = present
    return PinnedAssignments(held.names, held.splits, least)
