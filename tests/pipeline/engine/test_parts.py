"""Shares of the work: together everything, and nothing twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.engine.parts import Part
from fsh.schemas.errors import FshError


@given(st.lists(st.text(), unique=True), st.integers(1, 50))
def test_parts_together_are_everything_and_share_nothing(work, count):
    parts = [Part(number, count) for number in range(1, count + 1)]
    assert sorted(one for part in parts for one in part.of(work)) == sorted(work)
    named = [part.by_name(work, str) for part in parts]
    assert sorted(one for share in named for one in share) == sorted(work)
    sizes = [len(part.of(work)) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.text(), unique=True), st.text(), st.integers(1, 50))
def test_what_falls_to_a_part_by_name_does_not_depend_on_the_rest(work, one, count):
    alone = [Part(n, count).by_name([one], str) for n in range(1, count + 1)]
    beside = [Part(n, count).by_name([*work, one], str) for n in range(1, count + 1)]
    assert [one in share for share in alone] == [one in share for share in beside]


@given(st.integers(1, 10**9 - 1), st.integers(1, 10**9 - 1))
def test_numbers_are_read_as_they_are_shown(a, b):
    part = Part(min(a, b), max(a, b))
    assert Part.parse(str(part)) == Part.parse(f" {part.number} / {part.count}") == part


@pytest.mark.parametrize(
    "text", ["", "3", "0/4", "5/4", "-1/4", "1/0", "a/b", "1/4/4", "١/٤", "1.0/2"]
)
def test_others_are_refused_in_one_line(text):
    with pytest.raises(FshError, match=r"such as 3/40, not .* → count from 1"):
        Part.parse(text)
