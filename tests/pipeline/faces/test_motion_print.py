"""Motion fingerprints: the same footage whatever became of it, another take never."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import template

from fsh.pipeline.faces.motion_print import (
    likeness_of_pairs,
    motion_likeness,
    motion_of,
    motion_print,
)
from fsh.schemas.faces.mesh import mirrored_face


def take(seed: int, seconds: float = 6.0, fps: float = 25.0) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks and times of a head that moves its own way."""
    random, times = np.random.default_rng(seed), np.arange(0, seconds, 1 / fps)
    phases, rates = random.uniform(0, 6, (6, 4)), random.uniform(0.3, 3, (6, 4))
    waves = np.sin(times[:, None, None] * rates * 2 * np.pi / 2 + phases).sum(axis=2)
    points = np.tile(template() * 200, (len(times), 1, 1))
    points += waves[:, None, :2] * 3
    points[:, 42:48, 1] += waves[:, 2, None] * 1.5
    points[:, 30, 0] += waves[:, 3] * 2
    points[:, [8, 56, 57, 58], 1] += np.abs(waves[:, 4, None]) * 3
    return points, times


def alike(one: tuple, other: tuple) -> float:
    motions = [motion_of(motion_print(*clip)) for clip in (one, other)]
    return float(motion_likeness(motions[0], [motions[1]])[0])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 50), st.sampled_from([0.5, 2.0]), st.integers(0, 60))
def test_scaled_trimmed_and_noisy_footage_is_known_again(seed, scale, cut):
    points, times = take(seed)
    noise = np.random.default_rng(seed).normal(0, 0.3, points.shape)
    changed = ((points + noise)[cut:] * scale + 20, times[cut:] - times[cut])
    assert alike((points, times), changed) > 0.9
    assert alike((points, times), (points[::2], times[::2])) > 0.9


@pytest.mark.parametrize("seed", range(6))
def test_mirrored_footage_is_known_again(seed):
    points, times = take(seed)
    mirrored = np.stack([mirrored_face(face, 200) for face in points])
    assert alike((points, times), (mirrored[10:], times[10:])) > 0.9
    other = take(seed + 100)
    assert alike(other, (mirrored, times)) < 0.8


def test_other_takes_are_not():
    takes = [motion_of(motion_print(*take(seed))) for seed in range(24)]
    likeness = [motion_likeness(one, takes[n + 1 :]) for n, one in enumerate(takes[:-1])]
    assert np.concatenate(likeness).max() < 0.8


def test_likeness_is_that_of_a_plain_loop():
    one, *others = [
        motion_of(motion_print(*take(seed, seconds)))
        for seed, seconds in enumerate((4.0, 6.0, 2.0, 3.3))
    ]

    def plain(x: np.ndarray, y: np.ndarray) -> float:
        best = 0.0
        for lag in range(-len(y) + 18, len(x) - 18 + 1):
            a = x[max(0, lag) : lag + len(y)]
            b = y[max(0, -lag) :][: len(a)]
            a, b = a[: len(b)] - a[: len(b)].mean(axis=0), b - b.mean(axis=0)
            outer = max((a**2).sum() + (b**2).sum(), 2.0 * 6 * len(a))
            best = max(best, float(2 * (a * b).sum() / outer))
        return best

    mirrored = np.array([-1, 1, -1, -1, 1, 1])
    wanted = [max(plain(one, other), plain(one, other * mirrored)) for other in others]
    assert motion_likeness(one, others) == pytest.approx(wanted, abs=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 150), min_size=2, max_size=12), st.integers(1, 90), st.data())
def test_pairs_are_compared_together_as_each_alone(lengths, count, data):
    random = np.random.default_rng(len(lengths))
    motions = [random.integers(-127, 128, (n, 6)).astype(np.float32) for n in lengths]
    motions[1] = motions[0][3:]
    number = st.integers(0, len(motions) - 1)
    one, other = np.array(data.draw(st.lists(st.tuples(number, number), min_size=count))).T
    found = likeness_of_pairs(motions, one, other)
    alone = [motion_likeness(motions[i], [motions[j]])[0] for i, j in zip(one, other, strict=True)]
    assert found.tobytes() == np.array(alone).tobytes()


def test_what_is_too_short_or_does_not_move_is_like_nothing():
    points, times = take(0)
    assert alike((points[:20], times[:20]), (points, times)) == 0
    still = np.tile(points[:1], (100, 1, 1))
    assert alike((still, times[:100]), (still, times[:100])) == 0
    assert alike((points, times), (points, times)) == pytest.approx(1)
    with pytest.raises(ValueError):
        motion_of("no fingerprint")
