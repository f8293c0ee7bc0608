"""What is difficult about a driver is reported."""

from __future__ import annotations

import numpy as np
from faces_helpers import swaying_points
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.inputs.preflight import longest_run, preflight


def test_a_calm_driver_has_no_flaws():
    calm = preflight(swaying_points(), 512)
    assert (calm.frames, calm.lost, calm.longest_gap) == (30, 0, 0)
    assert calm.shake < 0.01 and calm.turned == 0


def test_the_flaws_of_a_difficult_driver_are_reported():
    points = swaying_points()
    points[3:7] = points[20] = np.nan
    points += np.random.default_rng(0).normal(0, 10, (30, 1, 2)).astype(np.float32)
    points[0, 55:60, 1] += 40
    points[0, 65:68, 1] += 40
    flaws = preflight(points, 512)
    assert (flaws.lost, flaws.longest_gap) == (5, 4) and "mouth open" in flaws.start
    lines = " ".join(flaws.warnings())
    assert all(word in lines for word in ("no face in 5 of 30", "shakes", "not neutral"))


@given(st.lists(st.booleans(), max_size=30))
def test_longest_run(flags):
    runs = "".join("x" if f else " " for f in flags).split()
    assert longest_run(np.array(flags, bool)) == max(map(len, runs), default=0)
