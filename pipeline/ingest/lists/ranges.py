"""Which part of a video a list's row asks for, or which parts: a row may hold several ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fsh.pipeline.ingest.lists import columns
from fsh.pipeline.ingest.lists.columns import first_of, is_blank, time_of
from fsh.pipeline.ingest.lists.nesting import flat_record
from fsh.pipeline.ingest.lists.requests import parse_time

_TIME = r"[\d:.]+(?:,\d+)?\s*s?"
#: What two numbers have that are times, and no date, number of a clip or anything else.
_OF_TIMES = re.compile(r"[:.]|\d\s*s\b")
_SAYS_RANGE = ("range", "interval", "span")
#: ``0:10-0:20`` and the like.
_PAIR = re.compile(rf"\s*[(\[]?\s*({_TIME})\s*(?:-|–|—|~|\bto\b|,\s)\s*({_TIME})\s*[)\]]?\s*")
#: Names of the two ends of a range, in seconds, thousandths or frames.
_STARTS = {*columns.START, *columns.thousandths(columns.START), *columns.START_FRAME}
_ENDS = {*columns.END, *columns.thousandths(columns.END), *columns.END_FRAME}


def range_of(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Seconds; None: the video's beginning or end.

    VoxCeleb's start and end count frames at the row's own fps.

    Raises:
        ValueError: if they are no times.
    """
    voxceleb = {"video_id", "start", "end", "bbox", "fps"} <= record.keys()
    (start, by), (end, to) = time_of(record, columns.START), time_of(record, columns.END)
    if not voxceleb and (start or end):
        first, last = _divided(start, by), _divided(end, to)
        if last is None and first is not None and (length := _length(record)):
            last = round(first + length, 6)
        return first, last
    if not voxceleb:
        start = first_of(record, columns.START_FRAME)[1]
        end = first_of(record, columns.END_FRAME)[1]
    if not start and not end:
        return None, None
    fps = parse_time(first_of(record, ["fps"])[1])
    if not fps:
        raise ValueError("a frame range without a frame rate")
    return _divided(start, fps), _divided(end, fps)


def _length(record: Mapping[str, Any]) -> float | None:
    """Seconds that a row says its range lasts; None if it does not say."""
    try:
        return _divided(*time_of(record, columns.DURATION))
    except ValueError:
        return None  # it is no part of what is asked for


def rows_of_ranges(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A row for each range that a row holds: itself, if it holds none, or one of its own.

    Ranges are texts such as ``0:10-0:20``, pairs of numbers, or objects with a start and an end,
    whose other values are of that range alone.
    """
    if any(not is_blank(record.get(name)) for name in (*_STARTS, *_ENDS)):
        yield record
        return
    for name in columns.RANGES:
        value = record.get(name)
        says_range = any(word in name for word in _SAYS_RANGE)
        if isinstance(value, str) and not says_range and not _OF_TIMES.search(value):
            continue
        if found := _ranges_in(value):
            rest = {key: value for key, value in record.items() if key != name}
            yield from ({**rest, **one} for one in found)
            return
    yield record


def _ranges_in(value: Any) -> list[dict[str, Any]]:
    """The ranges that a value is, as parts of rows; none unless all of it is ranges."""
    if isinstance(value, str):
        value = [part for part in re.split(r"[;\n]|(?<=\d)\s+(?=\d)", value) if part.strip()]
    elif isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)):
        value = [value]
    if not isinstance(value, list | tuple):
        return []
    found = [_range_in(one) for one in value]
    return [one for one in found if one] if all(found) else []


def _range_in(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        pair = _PAIR.fullmatch(value)
        return {"start": pair[1], "end": pair[2]} if pair else None
    if isinstance(value, Mapping):
        row = flat_record(value)
        return row if _STARTS & row.keys() and _ENDS & row.keys() else None
    if isinstance(value, Sequence) and len(value) == 2 and all(map(_is_number, value)):
        return {"start": value[0], "end": value[1]}
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _divided(text: str, by: float) -> float | None:
    """A time in parts of a second, of which there are ``by``; None from nothing."""
    if by == 1:
        return parse_time(text)
    if by == columns.THOUSAND and re.fullmatch(r"\d+(\.\d*)?", text):  # more than seconds can be
        return parse_time(str(round(float(text) / by, 6)))
    number = parse_time(text)
    return None if number is None else round(number / by, 6)
