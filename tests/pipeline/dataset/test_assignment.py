"""Identities and splits, and that pins keep them when other videos are erased."""

from __future__ import annotations

import numpy as np

from fsh.pipeline.dataset.settling.assignment import Assignment, assign, pin_assignments
from fsh.pipeline.tombstones import PinnedAssignments
from fsh.schemas.tables.records import Clip, IdentityOrigin, Source, SourceState

DISTANCE = 0.4


def clip(number: int, person: int) -> Clip:
    """The only clip of a video; clips of one person have the same embedding."""
    return Clip(
        clip_id=f"v-{number}_00000000_00",
        video_id=f"v-{number}",
        start=0.0,
        end=1.0,
        frames=25,
        embedding=np.eye(128, dtype=np.float32)[person],
        kept=True,
    )


def sources(clips: list[Clip], labels: dict[int, str]) -> dict[str, list[Source]]:
    return {
        c.video_id: [
            Source(
                request_id=str(number),
                url=f"{number}.mp4",
                video_id=c.video_id,
                identity=labels.get(number, ""),
                state=SourceState.STORED,
            )
        ]
        for number, c in enumerate(clips)
    }


def test_a_label_is_the_name_and_unlabeled_clips_of_the_person_get_it_too():
    clips = [clip(0, 0), clip(1, 0), clip(2, 1)]
    found = assign(clips, sources(clips, {0: "ann"}), DISTANCE, PinnedAssignments())
    assert found[0][:2] == ("ann", IdentityOrigin.LABEL)
    assert found[1][:2] == ("ann", IdentityOrigin.CLUSTER)
    assert found[2].identity.startswith("id-") and found[2].origin is IdentityOrigin.CLUSTER
    assert found[0].split == found[1].split


def test_a_pin_decides_name_and_split_unless_there_is_a_label():
    clips = [clip(0, 0), clip(1, 1)]
    pinned = PinnedAssignments(
        names={c.clip_id: ["id-old", "cluster"] for c in clips}, splits={"id-old": "test"}
    )
    found = assign(clips, sources(clips, {0: "ann"}), DISTANCE, pinned)
    assert found[0].identity == "ann"
    assert found[1] == Assignment("id-old", IdentityOrigin.CLUSTER, "test")


def test_pins_keep_the_rest_as_it_was():
    """Every video erased alone; names are made of clips, and four people need all splits."""
    clips = [clip(number, number // 2) for number in range(8)]
    all_sources = sources(clips, {})
    before = assign(clips, all_sources, DISTANCE, PinnedAssignments())
    needed = 0
    for gone in clips:
        pinned = pin_assignments(
            clips, frozenset({gone.video_id}), all_sources, DISTANCE, PinnedAssignments()
        )
        needed += bool(pinned.names or pinned.splits)
        rest = [(c, old) for c, old in zip(clips, before, strict=True) if c is not gone]
        after = assign([c for c, _ in rest], all_sources, DISTANCE, pinned)
        assert after == [old for _, old in rest]
    assert needed
