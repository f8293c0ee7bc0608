"""Films from Python: prefetched pictures, names of several films, marks and consent."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsh.film_frames import prefetched
from fsh.films import requested_films
from fsh.schemas.errors import FshError


def test_prefetched_items_are_the_same_items_and_errors_come_through():
    assert list(prefetched(iter(range(100)), depth=3)) == list(range(100))

    def failing():
        yield 1
        raise FshError("broken")

    items = prefetched(failing())
    assert next(items) == 1
    with pytest.raises(FshError, match="broken"):
        next(items)
    early = prefetched(iter(range(10**9)), depth=2)
    assert next(early) == 0
    early.close()  # leaves no thread that waits


def test_films_are_named_after_person_and_driver():
    a, b, x = Path("people/a"), Path("people/b"), Path("x.mp4")
    assert requested_films([a], [x], Path("o.mp4")) == [(a, x, Path("o.mp4"))]
    films = [film.output for film in requested_films([a, b], [x], Path("o"))]
    assert films == [Path("o/a--x.mp4"), Path("o/b--x.mp4")]
    with pytest.raises(FshError, match="both be written"):
        requested_films([a], [x, Path("other/x.npz")], Path("o"))
