"""Who counts as trained on: by video, label or face, and who does not."""

from __future__ import annotations

import numpy as np
import pytest

from fsh.schemas.errors import FshError
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import to_table
from fsh.schemas.tables.records import Clip, IdentityOrigin
from fsh.schemas.trained_on import TrainedFace, TrainedOn, trained_faces
from fsh.trainer.evaluation.recognition import (
    PersonTraits,
    SeenPeople,
    seen_people,
    traits_of,
    why_trained_on,
)

SAME_PERSON = 0.4


def face(number: int, off: float = 0.0) -> np.ndarray:
    """Embeddings of two numbers are about 1.4 apart, as dlib's; ``off`` is a distance from one."""
    vector = np.zeros(128, np.float32)
    vector[number], vector[100] = 1.0, off
    return vector


def seen(*faces: TrainedFace, complete: bool = True) -> SeenPeople:
    videos = frozenset({"v-other"} | {face.video_id for face in faces})
    return SeenPeople("runs/a", videos, faces, complete)


def person(video: str, vector: np.ndarray | None, label: str = "", identity: str = "id-1"):
    return PersonTraits(frozenset({video}), label, identity, lambda: vector)


ANN = TrainedFace("v-a", "ann", True, face(1))
CLUSTER = TrainedFace("v-b", "id-77", False, face(2))


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (person("v-a", face(1)), "video v-a was trained on"),
        (person("v-a", None), "video v-a was trained on"),
        (person("v-other", face(5)), "video v-other was trained on"),
        (person("v-new", face(5), label="ann"), "somebody labeled 'ann' was trained on"),
        (person("v-new", face(5), label="id-77"), ""),
        (person("v-new", face(1, 0.3)), r"the face is that of 'ann', trained on \(distance 0.30\)"),
        (person("v-new", face(2, 0.39), label="bob"), r"the face is that of 'id-77'"),
        (person("v-new", face(1, 0.41)), ""),
        (person("v-new", None), ""),
        (person("v-a", face(5)), ""),  # the host's guest: somebody else in the same video
    ],
)
def test_reasons(who, reason):
    found = why_trained_on(who, seen(ANN, CLUSTER), {}, SAME_PERSON)
    assert bool(found) == bool(reason)
    if reason:
        import re

        assert re.match(reason, found), found


def test_of_an_old_run_only_videos_are_known():
    old = seen(complete=False)
    assert why_trained_on(person("v-other", face(5)), old, {}, SAME_PERSON)
    assert not why_trained_on(person("v-new", face(1), label="ann"), old, {}, SAME_PERSON)


def test_a_data_set_has_told_its_own_people_apart():
    """Look-alikes, and people who share a video, are not left out of the run's own data set."""
    own = {"v-a": frozenset({"ann", "bea"}), "v-b": frozenset({"id-78"}), "v-c": frozenset({"cyd"})}
    look_alike = person("v-c", face(1, 0.2), identity="cyd")
    assert why_trained_on(look_alike, seen(ANN), {}, SAME_PERSON)
    assert not why_trained_on(look_alike, seen(ANN), own, SAME_PERSON)
    beside = person("v-a", face(1, 0.2), identity="bea")
    assert not why_trained_on(beside, seen(ANN), own, SAME_PERSON)
    renamed = person("v-c", face(2, 0.2), identity="cyd")
    assert not why_trained_on(renamed, seen(CLUSTER), own, SAME_PERSON)
    herself = person("v-a", face(1), label="ann", identity="ann")
    assert why_trained_on(herself, seen(ANN), own, SAME_PERSON)


def test_a_run_without_a_record_saw_the_training_split_of_its_data_set():
    known = seen_people("run", ["v-a"], ["sha"], None, {"sha": (ANN,)})
    assert known.complete and known.faces == (ANN,)
    other = seen_people("run", ["v-a"], ["sha"], None, {"another": (ANN,)})
    assert not other.complete and other.videos == {"v-a"}
    grown = seen_people("run", [], ["old", "sha"], TrainedOn((ANN,), ("sha",)), {})
    assert not grown.complete, "what the old data set held is not known"


def clip(video: str, name: str, origin: IdentityOrigin | None, vector, split="train", kept=True):
    return Clip(
        clip_id=f"{video}_00000000_00",
        video_id=video,
        identity=name,
        identity_from=origin,
        embedding=vector,
        split=split,
        kept=kept,
    )


def test_faces_of_a_table():
    label, cluster = IdentityOrigin.LABEL, IdentityOrigin.CLUSTER
    clips = [
        clip("v-a", "ann", label, face(1, 0.2)),
        clip("v-a", "ann", cluster, face(1, 0.4)),
        clip("v-a", "id-5", cluster, None),
        clip("v-b", "ann", cluster, face(1)),
        clip("v-c", "bob", label, face(3), split="test"),
        clip("v-d", "cyd", label, face(4), kept=False),
    ]
    rows = (one.to_row() for one in clips)
    found = {(f.video_id, f.identity): f for f in trained_faces(to_table(rows, CLIPS))}
    assert set(found) == {("v-a", "ann"), ("v-a", "id-5"), ("v-b", "ann")}
    np.testing.assert_allclose(found["v-a", "ann"].embedding, face(1, 0.3), atol=1e-6)
    assert found["v-a", "id-5"].embedding is None and not found["v-a", "id-5"].labeled
    assert found["v-b", "ann"].labeled, "a cluster with somebody's label"
    traits = traits_of(found.values())["ann"]
    assert traits.videos == {"v-a", "v-b"} and traits.label == "ann"


def test_a_record_grows_and_forgets(tmp_path):
    path = tmp_path / "trained_on.parquet"
    assert TrainedOn.read(path) is None
    TrainedOn((ANN,), ("one",)).joined(TrainedOn((CLUSTER,), ("two", "one"))).write(path)
    known = TrainedOn.read(path)
    assert [f.identity for f in known.faces] == ["ann", "id-77"] and known.datasets == (
        "one",
        "two",
    )
    np.testing.assert_array_equal(known.faces[0].embedding, ANN.embedding)
    content = path.read_bytes()
    known.write(path)
    assert path.read_bytes() == content
    known.without(lambda one: one.video_id == "v-a").write(path)
    assert [f.identity for f in TrainedOn.read(path).faces] == ["id-77"]
    for damage in (b"", content[:-20], bytes(len(content))):
        path.write_bytes(damage)
        with pytest.raises(FshError, match="move this file away"):
            TrainedOn.read(path)
