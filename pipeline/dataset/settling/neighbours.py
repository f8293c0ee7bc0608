"""Which points are close to one another: all pairs of a few, each point's nearest of many.

The distances of all pairs cost the square of the number of points. From :data:`EXACT` points on,
each is compared with its nearest alone, which a graph finds in about n log n (usearch's HNSW). The
graph is built and asked in one order by one thread, so it does not depend on workers or cores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Up to so many points all pairs are compared.
EXACT = 10_000
#: Nearest points that each is compared with where there are more.
NEAREST = 24
#: Points whose distances to all others are computed at once.
_BLOCK = 2048
#: Pairs whose distances are measured at once.
_MEASURED = 1 << 16
#: Of the graph: neighbours of a node, and candidates while it is built and asked.
_CONNECTIVITY, _WHILE_ADDING, _WHILE_ASKING = 16, 64, 64


class Pairs(NamedTuple):
    """Pairs of close points, i < j, in their order.

    Attributes:
        i, j: int32 (p,), numbers of points.
        gaps: float32 (p,), their L2 distances.
    """

    i: np.ndarray
    j: np.ndarray
    gaps: np.ndarray


def close_pairs(
    points: np.ndarray,
    distance: float,
    *,
    nearest: int = NEAREST,
    exact: int = EXACT,
    block: int = _BLOCK,
) -> Pairs:
    """The pairs of points that are nearer to one another than a distance.

    Args:
        points: float32 (n, d).
        distance: L2.
        nearest: of more than ``exact`` points, each has so many neighbours at most.
        exact: up to so many points all pairs are found.
        block: points whose distances to all others are computed at once.
    """
    points = np.ascontiguousarray(points, np.float32)
    if len(points) <= exact:
        return _all_pairs(points, distance, block)
    return _nearest_pairs(points, distance, nearest)


def _all_pairs(points: np.ndarray, distance: float, block: int) -> Pairs:
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    squares = (points**2).sum(axis=1)
    for begin in range(0, len(points), block):
        some, others = points[begin : begin + block], points[begin:]
        gaps = squares[begin : begin + block, None] + squares[None, begin:] - 2 * some @ others.T
        i, j = np.nonzero(np.triu(gaps < distance**2, 1))
        close = np.sqrt(np.maximum(gaps[i, j], 0.0))
        found.append(((i + begin).astype(np.int32), (j + begin).astype(np.int32), close))
    if not found:
        return Pairs(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    return Pairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _nearest_pairs(points: np.ndarray, distance: float, nearest: int) -> Pairs:
    from usearch.index import Index

    index = Index(
        ndim=points.shape[1],
        metric="l2sq",
        dtype="f32",
        connectivity=_CONNECTIVITY,
        expansion_add=_WHILE_ADDING,
        expansion_search=max(_WHILE_ASKING, nearest + 1),
    )
    keys = np.arange(len(points), dtype=np.int64)
    index.add(keys, points, threads=1, copy=False)
    found: list[np.ndarray] = []
    for begin in range(0, len(points), 100_000):
        some = keys[begin : begin + 100_000]
        matches = index.search(points[begin : begin + 100_000], nearest + 1, threads=0)
        near = matches.keys.astype(np.int64)
        there = np.arange(near.shape[1])[None] < matches.counts[:, None]
        close = there & (matches.distances < distance**2) & (near != some[:, None])
        row, column = np.nonzero(close)
        one, other = some[row], near[row, column]
        found.append(np.minimum(one, other) * len(points) + np.maximum(one, other))
    both = np.unique(np.concatenate(found))  # each pair once, whichever found the other
    i, j = (both // len(points)).astype(np.int32), (both % len(points)).astype(np.int32)
    gaps = np.empty(len(i), np.float32)
    for begin in range(0, len(i), _MEASURED):
        part = slice(begin, begin + _MEASURED)
        gaps[part] = np.linalg.norm(points[i[part]] - points[j[part]], axis=1)
    return Pairs(i, j, gaps)
