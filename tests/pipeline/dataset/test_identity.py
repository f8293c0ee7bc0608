"""Who is who, and that nobody is in two splits."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.settling.identity import (
    assign_splits,
    average_linkage,
    cluster_people,
    join_close,
    label_of,
    name_people,
)
from fsh.pipeline.dataset.settling.selection import labelled
from fsh.schemas.tables.conditions import Condition
from fsh.schemas.tables.records import Clip, RejectReason, Source, SourceState

RNG = np.random.default_rng(5)
PEOPLE = RNG.normal(size=(6, 128))
PEOPLE = 1.4 * PEOPLE / np.linalg.norm(PEOPLE, axis=1, keepdims=True)


def face(person: int, seed: int = 0) -> np.ndarray:
    """An embedding of a person: about 0.3 from any other of the same one, 2 from another's."""
    noise = np.random.default_rng(100 * person + seed).normal(size=128)
    return (PEOPLE[person] + 0.2 * noise / np.linalg.norm(noise)).astype(np.float32)


def clip(video: str, person: int | None, number: int = 0, frames: int = 100) -> Clip:
    return Clip(
        clip_id=f"{video}_{number:08d}_00",
        video_id=video,
        frames=frames,
        embedding=None if person is None else face(person, number),
    )


def names(clips, labels=None, uploaders=None):
    labels = labels or [""] * len(clips)
    uploaders = uploaders or [clip.video_id for clip in clips]
    return name_people(clips, labels, uploaders, 0.6)


def test_clusters_are_people():
    faces = np.array([face(k % 6, k) for k in range(60)])
    found = cluster_people(faces, [f"channel{k % 7}" for k in range(60)], 0.6)
    assert Counter(zip(found.tolist(), [k % 6 for k in range(60)], strict=True)).total() == 60
    assert len(set(zip(found.tolist(), [k % 6 for k in range(60)], strict=True))) == 6
    assert cluster_people(np.zeros((0, 128), np.float32), [], 0.6).shape == (0,)


def test_blocks_do_not_change_what_is_joined():
    points = np.random.default_rng(0).uniform(0, 5, (90, 2))
    whole = join_close(points, 0.5)
    assert join_close(points, 0.5, block=7).tolist() == whole.tolist()


def test_a_chain_of_lookalikes_is_not_one_person():
    chain = np.zeros((12, 128), np.float32)
    chain[:, 0] = 0.3 * np.arange(12)
    found = cluster_people(chain, [f"channel{k}" for k in range(12)], 0.4)
    assert max(np.ptp(chain[found == person, 0]) for person in set(found)) < 0.8


def test_components_too_large_for_memory_are_divided_first():
    faces = np.array([face(k % 6, k) for k in range(60)])
    found = average_linkage(faces, 0.6, largest=9)
    assert len({(f, k % 6) for k, f in enumerate(found.tolist())}) == len(set(found.tolist()))
    points = np.arange(40, dtype=np.float32)[:, None]
    assert len(average_linkage(points, 1.5, largest=3)) == 40


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_components_change_nothing_about_average_linkage(seed, count):
    points = np.random.default_rng(seed).uniform(0, 3, (count, 3)).astype(np.float32)
    found = average_linkage(points, 0.7)
    whole = fcluster(linkage(points, "average"), 0.7, "distance") if count > 1 else np.ones(1)
    assert set(found.tolist()) == set(range(int(found.max()) + 1))
    assert len(set(zip(found.tolist(), whole.tolist(), strict=True))) == len(set(found.tolist()))
    assert len(set(found.tolist())) == len(set(whole.tolist()))


def test_a_person_is_found_again_in_another_video_and_named_alike():
    found = names([clip("a", 0), clip("a", 1, 1), clip("b", 0, 2), clip("c", 2, 3)])
    assert found[0] == found[2]
    assert len({name for name, _ in found}) == 3
    assert all(source == "cluster" and name.startswith("id-") for name, source in found)


def test_names_do_not_depend_on_the_order():
    clips = [clip(v, p, n) for n, (v, p) in enumerate([("a", 0), ("b", 1), ("c", 0), ("d", 2)])]
    forth, back = names(clips), names(clips[::-1])
    assert forth == back[::-1]


def test_a_label_names_the_main_person_and_not_the_interviewer():
    clips = [clip("a", 0, 0), clip("a", 0, 1), clip("a", 1, 2, frames=40), clip("b", 1, 3)]
    found = names(clips, ["ann", "ann", "ann", "bob"])
    assert found == [("ann", "label"), ("ann", "label"), ("bob", "cluster"), ("bob", "label")]


def test_a_label_holds_where_the_person_looks_different():
    clips = [clip("a", 0, 0), clip("b", 3, 1)]
    assert names(clips, ["ann", "ann"]) == [("ann", "label"), ("ann", "label")]


def test_a_clip_without_embedding_is_named_by_label_or_video():
    clips = [clip("a", None, 0), clip("b", None, 1)]
    assert names(clips, ["ann", ""]) == [("ann", "label"), ("id-b", "video")]


def source(**given) -> Source:
    return Source(request_id="r", url="v.mp4", state=SourceState.STORED, **given)


def test_labels_belong_to_their_range_and_place():
    shown = Clip(
        video_id="v",
        start=4.0,
        end=8.0,
        width=1280,
        height=720,
        crop_left=700.0,
        crop_top=100.0,
        crop_side=400.0,
    )
    half = {"bbox_width": 640, "bbox_height": 360}
    left = source(identity="left", bbox=(50, 80, 200, 220), **half)
    right = source(identity="right", bbox=(380, 80, 520, 220), **half)
    assert label_of(shown, [left, right]) == "right"
    assert label_of(shown, [left]) == ""
    assert label_of(shown, [source(identity="early", start=0.0, end=4.0)]) == ""
    assert label_of(shown, [source(identity="now", start=3.0, end=9.0)]) == "now"
    assert label_of(shown, [source()]) == ""


@settings(deadline=None, max_examples=40)
@given(st.sets(st.text(max_size=12), max_size=60))
def test_everybody_is_in_one_split_and_none_is_empty(people):
    found = assign_splits([*people, *people])
    assert set(found) == people
    sizes = Counter(found.values())
    if people:
        assert sizes["train"]
    if len(people) >= 3:
        assert sizes["val"] and sizes["test"]


def test_shares_and_stability():
    many = [f"person {i}" for i in range(3000)]
    found = assign_splits(many)
    sizes = Counter(found.values())
    assert sizes["train"] == pytest.approx(2400, rel=0.05)
    assert sizes["val"] == pytest.approx(300, rel=0.2)
    more = assign_splits([*many, *(f"other {i}" for i in range(500))])
    assert all(more[name] == found[name] for name in many)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((200.0, 100.0, 400.0, 300.0), (None, None)),
        ((100.0, 50.0, 200.0, 150.0), (320, 180)),
        ((100.0, 50.0, 200.0, 150.0), (None, 180)),
        ((100.0, 50.0, 200.0, 150.0), (320, None)),
        ((200 / 640, 100 / 360, 400 / 640, 300 / 360), (1, 1)),
        ((0.46, 0.55, 0.48, 0.57), (1, 1)),
    ],
)
def test_a_box_labels_its_face_whatever_it_refers_to(box, size):
    """In pixels of the video or of a smaller frame, one side of which may be unknown; in shares."""
    face_clip = Clip(
        clip_id="v_00000000_00",
        video_id="v",
        start=5.0,
        end=6.0,
        width=640,
        height=360,
        crop_left=200.0,
        crop_top=100.0,
        crop_side=200.0,
    )
    source = Source(
        request_id="1",
        url="u",
        state=SourceState.STORED,
        identity="Ann",
        bbox=box,
        bbox_width=size[0],
        bbox_height=size[1],
        start=104.0,
        end=107.0,
        file_start=100.0,
    )
    assert label_of(face_clip, [source]) == "Ann"
    beside = replace(face_clip, crop_left=430.0, crop_top=10.0, crop_side=80.0)
    assert label_of(beside, [source]) == ""
    assert label_of(face_clip, [replace(source, file_start=None)]) == ""


def test_clips_of_other_labels_are_rejected_and_the_rest_stays():
    clips = [
        Clip(clip_id=f"{v}_0_0", video_id=v, start=0.0, end=2.0, kept=True) for v in ("a", "b")
    ]
    sources = [
        Source(
            request_id=v,
            url=v,
            video_id=v,
            state=SourceState.STORED,
            labels=json.dumps({"language": language}),
        )
        for v, language in (("a", "English"), ("b", "Dutch"))
    ]
    only = [Condition.parse("language=english")]
    found = labelled(clips, sources, only)
    assert [(clip.kept, clip.reason) for clip in found] == [
        (True, None),
        (False, RejectReason.OTHER_LABEL),
    ]
    assert labelled(clips, sources, []) == clips
    assert ShardConfig().hash != ShardConfig(only=tuple(only)).hash
