"""Values as plain JSON and back: what does not fit its type is refused."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.schemas.plain import from_plain, to_plain


class Kind(StrEnum):
    A = "a"


@dataclass(frozen=True)
class Inner:
    path: Path
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Outer:
    name: str
    count: int | None = None
    kind: Kind = Kind.A
    inner: list[Inner] = field(default_factory=list)
    sides: tuple[float, float] = (0.0, 0.0)


def test_a_value_comes_back_the_same():
    value = Outer("x", 3, Kind.A, [Inner(Path("/a"), (1.0, 2.5))], (1.0, 2.0))
    assert from_plain(Outer, json.loads(json.dumps(to_plain(value)))) == value
    assert from_plain(Outer, {"name": "x", "of a newer version": 1}) == Outer("x")
    assert from_plain(dict[str, int], {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"name": 1},
        {"name": "x", "count": "3"},
        {"name": "x", "count": True},
        {"name": "x", "count": 1.5},
        {"name": "x", "kind": "b"},
        {"name": "x", "inner": {}},
        {"name": "x", "inner": [{"path": 1}]},
        {"name": "x", "sides": [1.0]},
        {"name": "x", "sides": [1.0, "2"]},
        [],
        None,
        "x",
    ],
)
def test_what_does_not_fit_is_refused(plain):
    with pytest.raises(ValueError):
        from_plain(Outer, plain)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_nothing_but_a_value_or_an_error_comes_of_anything(plain):
    with contextlib.suppress(ValueError):
        assert isinstance(from_plain(Outer, plain), Outer)


def test_what_is_not_plain_is_an_error():
    with pytest.raises(TypeError):
        to_plain(object())
