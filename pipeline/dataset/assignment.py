"""Who is who and where, held in place when somebody else's clips are erased.

Names of people nobody labeled are made of their clips, splits are balanced over all names, the
number of shards follows the number of bytes: without these notes, erasing one video might rename
its neighbours, move them from train to test, or deal all clips anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from fsh.pipeline.dataset.identity import identities, label_of, splits
from fsh.pipeline.tombstones import PinnedAssignments


class Place(NamedTuple):
    """Where a clip belongs: ``source`` says where the name is from."""

    identity: str
    source: str
    split: str


def places(
    kept: Sequence[Mapping[str, Any]],
    requests: Mapping[str, Sequence[Mapping[str, Any]]],
    same_person: float,
    held: PinnedAssignments,
) -> list[Place]:
    """Identity and split of every kept clip.

    Args:
        kept: rows of the clips table, their embeddings as arrays.
        requests: video id to its rows of the sources table.
        same_person: largest distance of two embeddings of one person.
    """
    labels = [label_of(row, requests[row["video_id"]]) for row in kept]
    # A held name works like a label: it spreads to whoever joins the person later.
    spread = [
        label or held.names.get(row["clip_id"], [""])[0]
        for row, label in zip(kept, labels, strict=True)
    ]
    uploaders = [requests[row["video_id"]][0]["uploader"] or row["video_id"] for row in kept]
    named = [
        tuple(held.names.get(row["clip_id"], name)) if not label else name
        for row, label, name in zip(
            kept, labels, identities(kept, spread, uploaders, same_person), strict=True
        )
    ]
    place = splits([name for name, _ in named])
    return [Place(name, source, held.splits.get(name, place[name])) for name, source in named]


def hold(
    kept: Sequence[Mapping[str, Any]],
    gone: frozenset[str],
    requests: Mapping[str, Sequence[Mapping[str, Any]]],
    same_person: float,
    held: PinnedAssignments,
) -> PinnedAssignments:
    """What must be held so that the clips left stay what they are once ``gone`` videos are not."""
    rest = [row for row in kept if row["video_id"] not in gone]
    wanted = {
        row["clip_id"]: place
        for row, place in zip(kept, places(kept, requests, same_person, held), strict=True)
    }
    left = {row["clip_id"] for row in rest}
    held = replace(held, names={clip: name for clip, name in held.names.items() if clip in left})
    while True:
        names, fixed = dict(held.names), dict(held.splits)
        for row, now in zip(rest, places(rest, requests, same_person, held), strict=True):
            before = wanted[row["clip_id"]]
            if (now.identity, now.source) != (before.identity, before.source):
                names[row["clip_id"]] = [before.identity, before.source]
            if now.split != before.split:
                fixed[before.identity] = before.split
        names_left = {wanted[clip].identity for clip in left}
        fixed = {name: split for name, split in fixed.items() if name in names_left}
        if (names, fixed) == (held.names, held.splits):
            return held
        held = replace(held, names=names, splits=fixed)
