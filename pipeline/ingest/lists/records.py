"""One row of a list, whatever file it stood in, as the request that it stands for.

A row is a mapping of its columns' names to their values, nested ones included. What is wanted is
found by the names that people give such columns; whatever is left over are labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.lists import columns
from fsh.pipeline.ingest.lists.boxes import box_of, columns_of_size, resolution_of
from fsh.pipeline.ingest.lists.columns import first_of, is_blank
from fsh.pipeline.ingest.lists.ranges import range_of, rows_of_ranges
from fsh.pipeline.ingest.lists.requests import BadLine, Listing, Request, check_range, locate
from fsh.schemas import urls
from fsh.schemas.text import readable, shown

_LONGEST, _MOST = 200, 40
_NO_LABELS = columns.SPENT.difference(columns.LICENSE)


def from_records(
    records: Iterable[tuple[int, Mapping[str, Any] | str]], where: str, base: Path | None
) -> Listing:
    """Requests of numbered rows; a text in a row's place says why it is none."""
    listing, others = Listing(), dict[str, int]()
    for number, record in records:
        for one in [record] if isinstance(record, str) else _parts(record):
            try:
                if isinstance(one, str):
                    raise ValueError(one)
                listing.requests.append(_request(one, where, number, base))
                for name in _other_urls(one, listing.requests[-1].key):
                    others[name] = others.get(name, 0) + 1
            except (ValueError, TypeError) as error:
                listing.bad_lines.append(BadLine(where, number, str(error)))
    for name, rows in others.items():
        what = f"{rows} {'row has' if rows == 1 else 'rows have'} another URL in {name!r}"
        listing.notes.append(f"{shown(where)}: {what}, which is not asked for")
    return listing


def _parts(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A row for each range of each video that a row asks for."""
    column, several = next(
        ((n, v) for n in columns.URL if isinstance(v := record.get(n), list | tuple) and v),
        ("", ()),
    )
    if columns.first_of(record, columns.URL)[0] != column:
        several = ()
    for one in several or [None]:
        yield from rows_of_ranges({**record, column: one} if several else record)


def _other_urls(record: Mapping[str, Any], taken: str) -> list[str]:
    """The columns of a row with URLs that are neither what it asks for nor a label.

    Args:
        taken: the key of the video that is asked for.
    """
    return [
        name
        for name, value in record.items()
        if name.partition(columns.AGAIN)[0] in _NO_LABELS
        and "://" in str(value)
        and urls.source_key(urls.without_user(str(value).strip())) != taken
    ]


def _request(record: Mapping[str, Any], where: str, number: int, base: Path | None) -> Request:
    """Raises:
    ValueError: if a value of the row is not what its column should hold.
    """
    start, end = range_of(record)
    check_range(start, end)
    box = box_of(record)
    width, height = resolution_of(record, box)
    column, identity = first_of(record, columns.IDENTITY)
    return Request(
        url=_url(record, base),
        list=where,
        line=number,
        start=start,
        end=end,
        identity=readable(identity),
        bbox=box,
        bbox_width=width,
        bbox_height=height,
        license=readable(first_of(record, columns.LICENSE)[1]),
        labels=labels_of(record, {column, *columns_of_size(record)}),
        trusted=base is not None,
    )


def labels_of(record: Mapping[str, Any], spent: Iterable[str] = ()) -> str:
    """What else a row says, as one JSON object of texts; empty if it says nothing.

    Args:
        spent: columns that are no labels, besides those that say what is wanted.
    """
    spent = columns.SPENT.union(spent)
    labels = {
        readable(name): text[:_LONGEST]
        for name, value in record.items()
        if name and name not in spent and (text := readable(_label(value)))
    }
    if not labels:
        return ""
    return json.dumps(dict(sorted(labels.items())[:_MOST]), ensure_ascii=False)


def _label(value: Any) -> str:
    """A label's value as a text: of several the texts in them, with commas between."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(filter(None, (v for v in value.values() if isinstance(v, str))))
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_label, value[:_MOST])))
    return "" if is_blank(value) else str(value).strip()


def _url(record: Mapping[str, Any], base: Path | None) -> str:
    """Raises:
    ValueError: if no column names a video; why the first one that should does not.
    """
    reasons = []
    for name in (*columns.URL, *columns.YOUTUBE):
        entry = first_of(record, [name])[1]
        if not entry:
            continue
        if name in columns.YOUTUBE and urls.youtube_key(f"https://youtu.be/{entry}") == entry:
            return f"https://www.youtube.com/watch?v={entry}"
        try:
            return locate(entry, base)
        except ValueError as error:
            reasons.append(error)
    raise reasons[0] if reasons else ValueError("no URL, path or video id")
