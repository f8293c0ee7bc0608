"""Which face of each photo is the person's, and photos that show somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fsh.pipeline.faces.embedding import SAME_PERSON
from fsh.pipeline.inputs.photo_faces import FaceCandidate
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.text import shown


def choose_faces(photos: Sequence[Sequence[FaceCandidate]], face: int | None) -> list[int]:
    """Which face of each photo is the person's.

    Args:
        photos: the faces of each photo, at least one each.
        face: this one in every photo that has several, counted from the left from 0; None: the
            person who recurs over the photos (by embedding), or the largest face where there is
            only one photo or no embeddings.

    Returns:
        An index into each photo's faces; -1 where a photo has several, and none of that number.
    """
    if face is not None:
        orders = [np.argsort([c.face.box[0] for c in faces], kind="stable") for faces in photos]
        return [
            int(order[face]) if 0 <= face < len(order) else 0 if len(order) == 1 else -1
            for order in orders
        ]
    known = [[c.embedding for c in faces if c.embedding is not None] for faces in photos]
    if len(photos) == 1 or not all(len(k) == len(f) for k, f in zip(known, photos, strict=True)):
        return [int(np.argmax([c.face.side for c in faces])) for faces in photos]
    groups = [np.stack(vectors) for vectors in known]
    # The recurring person is the face whose distances to the nearest face of each photo, summed
    # over the photos, are smallest.
    everyone = np.concatenate(groups)
    nearest = [
        _distances(everyone, group).min(axis=1).clip(max=2 * SAME_PERSON) for group in groups
    ]
    person = everyone[np.sum(nearest, axis=0).argmin()]
    return [int(_distances(person[None], group)[0].argmin()) for group in groups]


def outliers(embeddings: np.ndarray) -> list[int]:
    """Photos that show somebody else: those further than 0.6 from the median of the others.

    Of two photos that differ, both are returned.

    Args:
        embeddings: float32 (N, 128).
    """
    if len(embeddings) < 2:
        return []
    rest = [np.median(np.delete(embeddings, i, axis=0), axis=0) for i in range(len(embeddings))]
    return np.flatnonzero(np.linalg.norm(embeddings - rest, axis=1) > SAME_PERSON).tolist()


def require_one_person(
    paths: Sequence[Path], embeddings: np.ndarray, mixed_ok: bool, progress: Progress
) -> None:
    """Do nothing if all photos show one person.

    Args:
        paths: the photos, for messages.
        embeddings: float32 (N, 128), one per photo.
        mixed_ok: only report the outliers.

    Raises:
        FshError: naming the outliers, unless ``mixed_ok``.
    """
    odd = outliers(embeddings)
    if not odd:
        return
    listed = ", ".join(shown(paths[i].name) for i in odd)
    what = (
        f"the photos seem to show different people: {listed}"
        if len(odd) * 2 > len(paths)
        else f"not the person of the other photos, it seems: {listed}"
    )
    if mixed_ok:
        progress.say(f"{what}; taken all the same")
        return
    raise FshError(
        what,
        where=paths[odd[0]].parent,
        remedy="put them elsewhere, or allow it (mixed_ok, --mixed-ok) if they are all one person",
    )


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of vectors (n, D) and (m, D): (n, m)."""
    return np.linalg.norm(a[:, None] - b[None], axis=2)
