"""Whether a person to be drawn is among those that a run was trained on.

``fsh evaluate`` promises people never trained on. A split only says so of its own data set, so the
claim is checked: by the videos, the user's labels and the faces that the run saw. Within one data
set ``fsh shard`` has compared all faces already, and with more knowledge (labels, uploaders); so a
trained face that the evaluated data set itself holds under another name is another person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fsh.schemas.trained_on import TrainedFace, TrainedOn, mean_embedding

#: dlib's own decision point, for the faces of one video: farther apart they are two people in it.
_SAME_VIDEO = 0.6


@dataclass(frozen=True, eq=False)
class PersonTraits:
    """By what a person is recognised.

    Attributes:
        videos: ids of the videos that the person's frames are from.
        label: the user's name for the person; empty if there is none.
        identity: what the data set calls the person, labels included; empty if there is no data
            set.
        embed: gives the mean face embedding, float32 (128,); None if it cannot be had.
    """

    videos: frozenset[str] = frozenset()
    label: str = ""
    identity: str = ""
    embed: Callable[[], np.ndarray | None] = field(default=lambda: None)


@dataclass(frozen=True, eq=False)
class SeenPeople:
    """Whom one run saw.

    Attributes:
        name: the run's, for messages.
        videos: ids of the videos trained on.
        faces: the people in them, as far as they are known.
        complete: whether all of them are; else people can be recognised by their videos alone.
    """

    name: str
    videos: frozenset[str]
    faces: tuple[TrainedFace, ...]
    complete: bool


def traits_of(faces: Iterable[TrainedFace]) -> dict[str, PersonTraits]:
    """Identity to what it is recognised by, of the people of a split."""
    grouped: dict[str, list[TrainedFace]] = {}
    for face in faces:
        if face.identity:
            grouped.setdefault(face.identity, []).append(face)
    return {name: _traits(name, own) for name, own in grouped.items()}


def _traits(name: str, own: Sequence[TrainedFace]) -> PersonTraits:
    mean = mean_embedding([face.embedding for face in own])
    return PersonTraits(
        videos=frozenset(face.video_id for face in own),
        label=name if any(face.labeled for face in own) else "",
        identity=name,
        embed=lambda: mean,
    )


def seen_people(
    name: str,
    videos: Iterable[str],
    datasets: Sequence[str],
    trained_on: TrainedOn | None,
    same_data: Mapping[str, tuple[TrainedFace, ...]],
) -> SeenPeople:
    """Whom a run saw, of all that is known.

    Args:
        videos, datasets: of the run's checkpoint: ids, and SHA-256 of every ``dataset.json``.
        trained_on: the run's own record; None if it has none.
        same_data: SHA-256 of a ``dataset.json`` that is at hand to the faces of its training
            split: what a run without a record saw, if it was trained on that.
    """
    known = trained_on or TrainedOn()
    for sha256 in datasets:
        if sha256 in same_data and sha256 not in known.datasets:
            known = TrainedOn(same_data[sha256], (sha256,)).joined(known)
    return SeenPeople(
        name=name,
        videos=frozenset(videos) | {face.video_id for face in known.faces},
        faces=known.faces,
        complete=bool(datasets) and set(datasets) <= set(known.datasets),
    )


def why_trained_on(
    person: PersonTraits, seen: SeenPeople, own: Mapping[str, frozenset[str]], same_person: float
) -> str:
    """Why a person counts as trained on; empty if nothing speaks for it.

    Args:
        own: of each video in the evaluated data set, the identities of everybody in it.
        same_person: L2 distance below which two mean embeddings are of one person.
    """
    others = [f for f in seen.faces if _is_other(f, person, own)]
    told_apart = {id(face) for face in others}
    faces = [face for face in seen.faces if id(face) not in told_apart]
    # A video that only other people of this data set are known from is no sign of this person.
    free = {f.video_id for f in others} - {f.video_id for f in faces}
    vector: np.ndarray | None = None
    if shared := sorted(person.videos & seen.videos - free):
        vector = person.embed()
        there = [face for face in faces if face.video_id in shared]
        apart = there and all(_is_far(face, vector, person.identity) for face in there)
        if not (apart and seen.complete):
            return f"video {shared[0]} was trained on"
    if person.label and any(f.labeled and f.identity == person.label for f in seen.faces):
        return f"somebody labeled {person.label!r} was trained on"
    vector = person.embed() if vector is None else vector
    if vector is None:
        return ""
    nearest = min(((_distance(vector, mean), name) for name, mean in _means(faces)), default=None)
    if nearest and nearest[0] < same_person:
        return f"the face is that of {nearest[1]!r}, trained on (distance {nearest[0]:.2f})"
    return ""


def _is_other(face: TrainedFace, person: PersonTraits, own: Mapping[str, frozenset[str]]) -> bool:
    """Whether the evaluated data set itself tells a trained face from this person.

    A name that fsh made up may be another one today; the video's people are the same.
    """
    here = own.get(face.video_id, frozenset())
    if not here or not person.identity or face.identity == person.identity:
        return False
    return face.identity in here or not (face.labeled or person.identity in here)


def _is_far(face: TrainedFace, vector: np.ndarray | None, identity: str) -> bool:
    """Whether a face in a video of the person's is certainly another one, such as the host."""
    same = identity and face.identity == identity
    return not same and _SAME_VIDEO < _distance(vector, face.embedding) < float("inf")


def _distance(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """L2; infinite if either is not known."""
    if a is None or b is None or a.shape != b.shape:
        return float("inf")
    return float(np.linalg.norm(a - b))


def _means(faces: Iterable[TrainedFace]) -> Iterable[tuple[str, np.ndarray]]:
    grouped: dict[str, list[np.ndarray | None]] = {}
    for face in faces:
        grouped.setdefault(face.identity or face.video_id, []).append(face.embedding)
    means = ((name, mean_embedding(own)) for name, own in grouped.items())
    return [(name, mean) for name, mean in means if mean is not None]
