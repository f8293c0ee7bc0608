"""The same footage under several names: re-uploads, other sizes and bit rates, other cuts of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

from fsh.pipeline.dataset.settling.neighbours import close_pairs
from fsh.pipeline.faces.motion_print import likeness_of_pairs, motion_of
from fsh.schemas.machine import cores
from fsh.schemas.tables.records import Clip

#: Clips whose motions are at least this much alike show the same footage …
SAME_FOOTAGE = 0.9
#: … if their faces are nearer to one another than this: another size or colour moves an embedding.
SAME_FACE = 0.4
#: Up to so many clips all pairs of such faces are compared. Of more, each clip is compared with
#: those of so many nearest faces: the same footage has nearly the same face.
COMPARED = 500
NEAREST = 8
#: Pairs whose motions are read and compared together.
_PAIRS = 1024


def with_duplicates(clips: Sequence[Clip]) -> list[Clip]:
    """The clips, those of footage that is there more than once with the one that stands for it.

    It is the one with the largest face; of equals the longest, of these the first by its id.

    Args:
        clips: only the kept ones are compared; the others stay as they are.
    """
    kept = [number for number, clip in enumerate(clips) if clip.kept]
    groups = footage_groups([clips[number] for number in kept])
    found = [
        replace(clip, duplicate_of=None) if clip.kept and clip.duplicate_of else clip
        for clip in clips
    ]
    for group in groups:
        numbers = sorted((kept[place] for place in group), key=lambda n: _rank(clips[n]))
        for number in numbers[1:]:
            found[number] = replace(clips[number], duplicate_of=clips[numbers[0]].clip_id)
    return found


def _rank(clip: Clip) -> tuple[float, int, str]:
    return -(clip.face_px or 0.0), -(clip.frames or 0), clip.clip_id or ""


def footage_groups(clips: Sequence[Clip]) -> list[list[int]]:
    """Numbers of the clips that show the same footage, two or more in a group."""
    pairs = list(same_footage(clips))
    if not pairs:
        return []
    i, j = np.array(pairs).T
    graph = coo_array((np.ones(len(i), bool), (i, j)), shape=(len(clips),) * 2)
    names = connected_components(graph, directed=False)[1]
    groups: dict[int, list[int]] = {}
    for number in sorted({*i.tolist(), *j.tolist()}):
        groups.setdefault(int(names[number]), []).append(number)
    return list(groups.values())


def same_footage(clips: Sequence[Clip]) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, of clips of two videos that show the same footage."""
    usable = [n for n, c in enumerate(clips) if c.motion_print and c.embedding is not None]
    if len(usable) < 2:
        return
    videos = np.unique([clips[n].video_id for n in usable], return_inverse=True)[1]
    embeddings = np.array([clips[n].embedding for n in usable], np.float32)
    pairs = close_pairs(embeddings, SAME_FACE, exact=COMPARED)
    other_video = videos[pairs.i] != videos[pairs.j]
    i, j, gaps = (part[other_video] for part in pairs)
    if len(usable) > COMPARED:
        i, j = nearest_pairs(i, j, gaps, NEAREST)
    same = alike([clips[n].motion_print or "" for n in usable], i, j)
    for one, other in zip(i[same].tolist(), j[same].tolist(), strict=True):
        yield usable[one], usable[other]


def alike(prints: Sequence[str], i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Whether the motions of pairs are those of the same footage, bool (p,).

    Args:
        prints: as :func:`~fsh.pipeline.faces.motion_print.motion_print` makes them.
        i, j: int (p,), which two of them each pair is.
    """
    found = np.zeros(len(i), bool)
    # What is read of a motion serves its pairs that come at about the same time: a numbering in
    # which those that are compared are close to one another brings them together.
    graph = coo_array((np.ones(len(i), bool), (i, j)), shape=(len(prints),) * 2).tocsr()
    rank = np.argsort(reverse_cuthill_mckee(graph + graph.T, symmetric_mode=True))
    order = np.lexsort((rank[j], rank[i]))

    def compare(begin: int) -> None:
        pairs = order[begin : begin + _PAIRS]
        numbers, places = np.unique([i[pairs], j[pairs]], return_inverse=True)
        motions = [motion_of(prints[n]) for n in numbers.tolist()]
        found[pairs] = likeness_of_pairs(motions, *places.reshape(2, -1)) >= SAME_FOOTAGE

    with ThreadPoolExecutor(cores()) as threads:
        for _ in threads.map(compare, range(0, len(i), _PAIRS)):
            pass
    return found


def nearest_pairs(
    i: np.ndarray, j: np.ndarray, gaps: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs in which one is among the ``count`` nearest of the other, in their order."""
    one, other, gap = np.append(i, j), np.append(j, i), np.append(gaps, gaps)
    order = np.lexsort((other, gap, one))
    first = np.searchsorted(one[order], one[order])  # where each one's pairs begin
    near = order[np.arange(len(order)) - first < count]
    chosen = np.unique(near % len(i)) if len(i) else near
    return i[chosen], j[chosen]


def linked_names(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each name the first by order of those that pairs link it with, itself included."""
    first = {name: name for name in names}

    def top(name: str) -> str:
        while first[name] != name:
            first[name] = first[first[name]]  # the next way is half as long
            name = first[name]
        return name

    for one, other in pairs:
        low, high = sorted((top(one), top(other)))
        first[high] = low
    return {name: top(name) for name in first}
