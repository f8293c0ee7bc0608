"""The box of a face that a list's row gives: by its edges, or by a corner and its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from fsh.pipeline.ingest.lists import columns
from fsh.pipeline.ingest.lists.columns import first_of, is_blank
from fsh.pipeline.ingest.lists.requests import Box, as_box, parse_box, parse_size


def box_of(record: Mapping[str, Any]) -> Box | None:
    """left, top, right, bottom of a row; None if it gives none.

    Raises:
        ValueError: if what it gives is none.
    """
    for name in columns.BOX:
        value = record.get(name)
        if isinstance(value, list | tuple):
            return as_box(_numbers(value)) if value else None
        if not is_blank(value):
            return parse_box(str(value))
    corners = [first_of(record, names)[1] for names in columns.CORNERS]
    if all(corners):
        return as_box(map(float, corners))
    return _box_of_size(record, _sized(record))


def columns_of_size(record: Mapping[str, Any]) -> Sequence[str]:
    """The columns that are a corner and a size of the row's box; none if it is given otherwise."""
    given = any(not is_blank(record.get(name)) for name in columns.BOX)
    edges = all(first_of(record, names)[1] for names in columns.CORNERS)
    return () if given or edges else _sized(record)


def resolution_of(record: Mapping[str, Any], box: Box | None) -> tuple[int | None, int | None]:
    """Width and height of the frame that a box refers to: 1 × 1 if it is in shares.

    Raises:
        ValueError: if they are no sizes.
    """
    if box is None:
        return None, None
    if is_in_shares(box):
        return 1, 1
    rest = {name: record[name] for name in record if name not in columns_of_size(record)}
    return tuple(  # type: ignore[return-value]
        parse_size(first_of(rest, names)[1]) for names in (columns.WIDTH, columns.HEIGHT)
    )


def is_in_shares(box: Box) -> bool:
    """Whether a box is in shares of the frame, 0 … 1, a little over its edges perhaps."""
    return min(box) > -0.5 and max(box) < 1.5


def box_in(value: Mapping[str, Any]) -> list[float] | None:
    """A box that is an object of its own, whatever its numbers are called; None if it is none."""
    names = columns.column_names([str(key) for key in value])
    try:
        box = box_of(columns.row_of(names, value.values()))
    except (TypeError, ValueError):
        return None
    return None if box is None else list(box)


def _sized(record: Mapping[str, Any]) -> Sequence[str]:
    """The first names of a corner and a size that a row has all of."""
    every = (names for names in columns.CORNER_AND_SIZE if all(map(record.__contains__, names)))
    return next((n for n in every if not any(is_blank(record[name]) for name in n)), ())


def _box_of_size(record: Mapping[str, Any], names: Sequence[str]) -> Box | None:
    if not names:
        return None
    left, top, wide, high = (float(first_of(record, [name])[1]) for name in names)
    if 0 < left < 1 and 0 < top < 1 and min(wide, high) > 1.5:
        return None  # a point in shares beside the size of the frame
    return as_box((left, top, left + wide, top + high))


def _numbers(value: Sequence[Any]) -> Sequence[Any]:
    """Four numbers, or two corners of two."""
    if all(isinstance(one, list | tuple) for one in value):
        return list(chain.from_iterable(value))
    if any(isinstance(one, list | tuple | Mapping) for one in value):
        raise ValueError(f"not a box: {str(value)[:60]}")
    return value
