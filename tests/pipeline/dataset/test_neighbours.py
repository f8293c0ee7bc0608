"""Close pairs of points: all of a few, and of many those that decide who is who."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fsh.pipeline.dataset.settling.duplicates import nearest_pairs
from fsh.pipeline.dataset.settling.identity import average_linkage, cluster_people
from fsh.pipeline.dataset.settling.neighbours import close_pairs


def faces(people: int, each: int, seed: int = 0) -> np.ndarray:
    """Embeddings as dlib's lie: people 0.8 apart, clips of one 0.25, over a few directions."""
    rng = np.random.default_rng(seed)
    scale = np.exp(-np.arange(128) / 19)
    scale /= np.linalg.norm(scale)
    centers = rng.normal(size=(people, 128)) * scale * 0.56
    points = np.repeat(centers, each, axis=0) + rng.normal(size=(people * each, 128)) * scale * 0.17
    return points.astype(np.float32)


def same_groups(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(1, 70))
def test_all_pairs_of_a_few_points_are_found(seed, count, block):
    points = np.random.default_rng(seed).uniform(0, 2, (count, 3)).astype(np.float32)
    found = close_pairs(points, 0.7, block=block)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2).reshape(count, count)
    wanted = np.argwhere(np.triu(gaps < 0.7, 1)).tolist()
    assert np.stack([found.i, found.j], 1).tolist() == wanted
    assert found.gaps == pytest.approx(gaps[found.i, found.j], abs=1e-3)


def test_of_many_points_the_nearest_are_found_and_always_the_same():
    points = faces(100, 25)
    exact, found, again = (close_pairs(points, 0.4, exact=e) for e in (10_000, 10, 10))
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    keys = [set(zip(p.i.tolist(), p.j.tolist(), strict=True)) for p in (exact, found)]
    assert keys[1] <= keys[0] and len(keys[1]) > 0.9 * len(keys[0])
    gaps = np.linalg.norm(points[found.i] - points[found.j], axis=1)
    assert found.gaps == pytest.approx(gaps, abs=1e-5) and (found.i < found.j).all()


def test_people_are_the_same_whether_all_pairs_are_known_or_the_nearest_alone():
    points = faces(120, 25)
    whole = average_linkage(points, 0.4)
    assert same_groups(whole, average_linkage(points, 0.4, exact=100))
    assert same_groups(whole, np.repeat(np.arange(120), 25))


def before(embeddings: np.ndarray, uploaders: list[str], distance: float) -> np.ndarray:
    """:func:`cluster_people` as plainly as it can be said: every distance of every pair."""

    def linked(points: np.ndarray, reach: float) -> np.ndarray:
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        group = connected_components(coo_array(gaps < reach), directed=False)[1]
        answer, count = np.zeros(len(points), int), 0
        for number in range(group.max() + 1):
            members = np.flatnonzero(group == number)
            parts = np.zeros(len(members), int)
            if len(members) > 1:
                tree = linkage(points[members], method="average")
                parts = fcluster(tree, reach, criterion="distance") - 1
            answer[members] = parts + count
            count += parts.max() + 1
        return answer

    group, count, names = np.zeros(len(embeddings), int), 0, np.array(uploaders)
    for name in sorted(set(uploaders)):
        chosen = np.flatnonzero(names == name)
        parts = linked(embeddings[chosen], distance * 1.2)
        group[chosen] = parts + count
        count += parts.max() + 1
    means = np.array([embeddings[group == number].mean(axis=0) for number in range(count)])
    return linked(means, distance)[group]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 30), st.integers(1, 40))
def test_small_sets_are_clustered_as_by_every_distance(seed, people, each, channels):
    points = faces(people, each, seed)
    rng = np.random.default_rng(seed)
    uploaders = [f"channel {n}" for n in rng.integers(0, channels, len(points))]
    found = cluster_people(points, uploaders, 0.4)
    assert same_groups(found, before(points, uploaders, 0.4))


def test_what_cannot_be_divided_is_one_person():
    points = np.zeros((600, 128), np.float32)
    points[300:, 0] = 5
    found = average_linkage(points, 0.4, largest=50)
    assert same_groups(found, np.repeat([0, 1], 300))


def test_each_is_compared_with_its_nearest_whoever_found_whom():
    i, j = np.array([0, 0, 0, 1]), np.array([1, 2, 3, 2])
    gaps = np.array([0.3, 0.1, 0.2, 0.05])
    pairs = nearest_pairs(i, j, gaps, 1)
    # 0: 2, 1: 2, 2: 1, 3: 0.
    assert list(zip(*(part.tolist() for part in pairs), strict=True)) == [(0, 2), (0, 3), (1, 2)]
    empty = np.zeros(0, int)
    assert [len(part) for part in nearest_pairs(empty, empty, np.zeros(0), 3)] == [0, 0]
