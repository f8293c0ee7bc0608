"""The same footage under two names: found, kept in one split, and dropped where asked for."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fsh.pipeline.dataset.config import FilterConfig, ShardConfig, filters_of
from fsh.pipeline.dataset.settling import duplicates
from fsh.pipeline.dataset.settling.assignment import splits_of
from fsh.pipeline.dataset.settling.duplicates import footage_groups, linked_names, with_duplicates
from fsh.pipeline.dataset.settling.selection import filtered, judged
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.tables.conditions import Condition
from fsh.schemas.tables.records import Clip, RejectReason, Source, SourceState


def clip(name: str, take: int, person: int = 0, **values) -> Clip:
    """A clip of video ``v-<name>``: its motion depends on the take, its face on the person."""
    motion = np.random.default_rng(take).integers(-40, 40, (60, 6)).astype(np.int8)
    face = np.random.default_rng(1000 + person).normal(0, 0.08, 128).astype(np.float32)
    row = {"clip_id": f"v-{name}_00000000_00", "video_id": f"v-{name}", "kept": True, "frames": 100}
    row |= {"face_px": 100.0, "motion_print": motion.tobytes().hex(), "embedding": face, "fps": 25}
    return Clip(**{**row, **values})


CLIPS = [
    clip("a", 1, face_px=100.0),
    clip("b", 1, face_px=200.0),
    clip("c", 2),
    clip("d", 1, person=5),
    clip("e", 1, face_px=70.0),
    clip("f", 1, kept=False, reason=RejectReason.BLURRED),
]


def test_the_largest_face_stands_for_the_footage():
    assert footage_groups(CLIPS[:5]) == [[0, 1, 4]]
    found = with_duplicates(CLIPS)
    of = [c.duplicate_of for c in found]
    assert of == [CLIPS[1].clip_id, None, None, None, CLIPS[1].clip_id, None]
    again = with_duplicates([replace(c, duplicate_of="stale") for c in CLIPS])
    assert [c.duplicate_of for c in again[:5]] == of[:5] and again[5].duplicate_of == "stale"


def test_clips_of_one_video_are_no_duplicates():
    twice = [clip("a", 1), replace(clip("a", 1), clip_id="v-a_00001000_01")]
    assert footage_groups(twice) == [] and footage_groups([]) == []
    assert footage_groups([replace(CLIPS[0], motion_print=None), CLIPS[1]]) == []


def test_duplicates_are_in_one_split_whatever_their_names():
    clips = with_duplicates([clip(f"{n}", n // 2, person=n // 2) for n in range(80)])
    names = [f"person {n}" for n in range(80)]
    split_of = splits_of(clips, names)
    assert all(split_of[names[n]] == split_of[names[n + 1]] for n in range(0, 80, 2))
    assert set(split_of.values()) == {"train", "val", "test"}
    pairs = [("c", "b"), ("b", "a"), ("e", "d")]
    assert linked_names("abcdef", pairs) == dict(zip("abcdef", "aaaddf", strict=True))


def test_many_pairs_by_several_threads_are_those_of_each_clip_alone(monkeypatch):
    monkeypatch.setattr(duplicates, "_PAIRS", 16)
    clips = [clip(f"{n}", n // 3, person=n // 12) for n in range(60)]
    prints = [c.motion_print or "" for c in clips]
    wanted = [(i, j) for i in range(60) for j in range(i + 1, 60) if i // 3 == j // 3]
    assert list(duplicates.same_footage(clips)) == wanted
    i, j = np.array(wanted[::-1]).T
    assert duplicates.alike(prints, i, j).all()
    assert not duplicates.alike(prints, i, (j + 12) % 60).any()
    assert not len(duplicates.alike(prints, i[:0], j[:0]))


def test_they_are_dropped_where_asked_for():
    kept = filtered(with_duplicates(CLIPS), FilterConfig(), FaceSpec())
    assert [c.kept for c in kept] == [True] * 5 + [False]
    dropped = filtered(with_duplicates(CLIPS), filters_of({"duplicates": 0}), FaceSpec())
    assert [c.reason for c in dropped[:5]] == ["duplicate", None, None, None, "duplicate"]


def test_what_the_labels_leave_out_stands_for_nothing():
    """Of two copies the larger is labelled otherwise: the other one is kept."""

    def source(name: str, tongue: str) -> Source:
        where = {"request_id": name, "url": f"/{name}.mp4", "video_id": f"v-{name}"}
        label = json.dumps({"tongue": tongue})
        return Source(**where, state=SourceState.STORED, labels=label)

    sources = [source("a", "en"), source("b", "fr"), source("e", "en")]
    clips = [replace(c, start=0.0, end=4.0) for c in (CLIPS[0], CLIPS[1], CLIPS[4])]
    config = ShardConfig(
        filters=filters_of({"duplicates": 0}), only=(Condition.parse("tongue=en"),)
    )
    found = judged(clips, sources, config)
    assert [c.reason for c in found] == [None, "other_label", "duplicate"]
    assert [c.duplicate_of for c in found] == [None, None, clips[0].clip_id]
    found = judged(clips, sources, replace(config, only=()))
    assert [c.reason for c in found] == ["duplicate", None, "duplicate"]


def test_a_filter_that_there_is_not_is_told():
    with pytest.raises(FshError, match=r"no filter 'max_txt' → name one of .*max_text"):
        filters_of({"max_txt": 0.1})
    with pytest.raises(FshError, match="max_text is no number"):
        filters_of({"max_text": float("nan")})
