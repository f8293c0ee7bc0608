"""Synchrony of made-up syllables: found at the planted lag, and not where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import template

from fsh.pipeline.faces.sync import FAR, mouth_motions, synchrony
from fsh.pipeline.media.voice import LOUDNESS_RATE


def syllables(seed: int, times: np.ndarray) -> np.ndarray:
    """A loudness of about four syllables a second, 0 to 1."""
    random = np.random.default_rng(seed)
    starts = np.cumsum(random.uniform(0.15, 0.35, 60)) - 4
    heights = random.uniform(0.3, 1, len(starts))
    bumps = np.exp(-(((times[:, None] - starts) / 0.06) ** 2)) * heights
    return bumps.sum(axis=1)


def talking(opening: np.ndarray) -> np.ndarray:
    """Landmarks (n, 68, 2) whose chin and lower lip go down with an opening (n,)."""
    points = np.tile(template() * 200, (len(opening), 1, 1))
    points[:, [8, 55, 56, 57, 58, 59], 1] += 6 * opening[:, None]
    return points


def heard(seed: int, seconds: float, late: float = 0.0) -> np.ndarray:
    clock = np.arange(-FAR, seconds + FAR, 1 / LOUDNESS_RATE)
    return syllables(seed, clock - late)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99), st.integers(-30, 30), st.sampled_from([18.0, 25.0, 50.0]))
def test_the_planted_lag_is_found(seed, late, fps):
    times = np.arange(0, 5, 1 / fps)
    points = talking(syllables(seed, times))
    found = synchrony(points, times, heard(seed, 5, late / 100))
    assert found is not None and found.confidence > 2
    assert found.offset == pytest.approx(late / 100, abs=0.03)


def test_another_voice_is_told():
    times = np.arange(0, 6, 1 / 25)
    points = talking(syllables(1, times))
    others = [synchrony(points, times, heard(seed, 6)) for seed in range(2, 22)]
    assert np.median([found.confidence for found in others]) < 2.5


def test_where_nothing_can_be_said():
    times = np.arange(0, 5, 1 / 25)
    points = talking(syllables(1, times))
    assert synchrony(points, times, np.zeros(900)) is None
    assert synchrony(points[:20], times[:20], heard(1, 0.8)) is None
    slow = slice(None, None, 3)
    assert synchrony(points[slow], times[slow], heard(1, 5)) is None
    still = synchrony(talking(np.zeros(len(times))), times, heard(1, 5))
    assert still is None or still.confidence < 2.5
    short = synchrony(points, times, heard(1, 5)[:400])
    assert short is not None and np.isfinite(short.confidence)


def test_the_motions_do_not_depend_on_the_faces_size():
    points = talking(np.linspace(0, 1, 5))
    assert np.allclose(mouth_motions(points), mouth_motions(points * 3))
