"""The identity and split of every clip, kept as they are when somebody else's clips are erased.

Names of people nobody labeled are made of their clips, splits are balanced over all names, the
number of shards follows the number of bytes: without pins, erasing one video might rename its
neighbours, move them from train to test, or distribute all clips anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from fsh.pipeline.dataset.settling.duplicates import linked_names, with_duplicates
from fsh.pipeline.dataset.settling.identity import assign_splits, label_of, name_people
from fsh.pipeline.tombstones import PinnedAssignments
from fsh.schemas.tables.records import Clip, IdentityOrigin, Source, known


class Assignment(NamedTuple):
    """Whom a clip shows, where that name comes from, and the clip's split."""

    identity: str
    origin: IdentityOrigin
    split: str


def assign(
    kept: Sequence[Clip],
    sources: Mapping[str, Sequence[Source]],
    same_person: float,
    pinned: PinnedAssignments,
) -> list[Assignment]:
    """Identity and split of every kept clip.

    Args:
        sources: those of each video, by its id.
        same_person: largest distance of two embeddings of one person.
        pinned: what earlier erasures fixed.
    """
    labels = [label_of(clip, sources[clip.video_id]) for clip in kept]
    pins = [pinned.names.get(known(clip.clip_id)) for clip in kept]
    # A pinned name works like a label: it spreads to whoever joins the person later.
    given = [label or (pin[0] if pin else "") for label, pin in zip(labels, pins, strict=True)]
    uploaders = [sources[clip.video_id][0].uploader or clip.video_id for clip in kept]
    named = [
        (pin[0], IdentityOrigin(pin[1])) if pin and not label else name
        for pin, label, name in zip(
            pins, labels, name_people(kept, given, uploaders, same_person), strict=True
        )
    ]
    split_of = {**splits_of(kept, [name for name, _ in named]), **pinned.splits}
    return [Assignment(name, origin, split_of[name]) for name, origin in named]


def splits_of(clips: Sequence[Clip], names: Sequence[str]) -> dict[str, str]:
    """The split of every identity. Footage that is there under two names is in one split.

    Args:
        names: the identity of each clip.
    """
    name_of = {clip.clip_id: name for clip, name in zip(clips, names, strict=True)}
    pairs = [
        (name, name_of[clip.duplicate_of])
        for clip, name in zip(clips, names, strict=True)
        if clip.duplicate_of in name_of
    ]
    first = linked_names(names, pairs)
    split_of = assign_splits([first[name] for name in names])
    return {name: split_of[first[name]] for name in names}


def pin_assignments(
    kept: Sequence[Clip],
    erased: frozenset[str],
    sources: Mapping[str, Sequence[Source]],
    same_person: float,
    pinned: PinnedAssignments,
) -> PinnedAssignments:
    """What must be pinned so that the other clips stay what they are once videos are erased.

    Args:
        kept: all kept clips, those of the ``erased`` videos included.
        erased: ids of videos.
        sources, same_person, pinned: see :func:`assign`.
    """
    rest = with_duplicates([clip for clip in kept if clip.video_id not in erased])
    whole = zip(kept, assign(kept, sources, same_person, pinned), strict=True)
    before = [assignment for clip, assignment in whole if clip.video_id not in erased]
    left = {clip.clip_id for clip in rest}
    names_left = {assignment.identity for assignment in before}
    pinned = replace(pinned, names={c: name for c, name in pinned.names.items() if c in left})
    # A pin can change the others' names and splits in turn: until nothing changes any more.
    while True:
        names, splits = dict(pinned.names), dict(pinned.splits)
        now = assign(rest, sources, same_person, pinned)
        for clip, old, new in zip(rest, before, now, strict=True):
            if (new.identity, new.origin) != (old.identity, old.origin):
                names[known(clip.clip_id)] = [old.identity, old.origin.value]
            if new.split != old.split:
                splits[old.identity] = old.split
        splits = {name: split for name, split in splits.items() if name in names_left}
        if (names, splits) == (pinned.names, pinned.splits):
            return pinned
        pinned = replace(pinned, names=names, splits=splits)
