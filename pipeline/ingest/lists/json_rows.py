"""Where in a JSON the rows of a list are, by its shape: array, table, or objects in objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.lists.columns import (
    AGAIN,
    URL,
    column_names,
    is_blank,
    row_of,
    url_column,
)
from fsh.pipeline.ingest.lists.nesting import flat_record
from fsh.pipeline.media.suffixes import VIDEO_SUFFIXES
from fsh.schemas.urls import is_youtube_id


@dataclass(frozen=True)
class NoRow:
    """What stands where a row is wanted, and the reason why it is none."""

    why: str


#: Keys below which the rows of a list are kept.
_CONTAINERS = {"clips", "videos", "data", "items", "entries", "samples", "annotations", "rows"}
#: Keys of what is about a list or a row, and no entry of it.
_ABOUT_ALL = {
    *("homepage", "website", "webpage", "project", "repository", "repo", "paper", "readme"),
    *("license", "licenses", "licence", "licences", "info", "meta", "metadata", "meta_info"),
    *("$schema", "schema", "reference", "references", "citation", "contact", "terms", "docs"),
}
#: Those of a text; an object below one of the others is an entry that names a video.
_ABOUT = {*URL, *_ABOUT_ALL}
#: The label that says below which key of several a row was.
GROUP = "group"
#: Objects and arrays are looked into so deep.
_DEEPEST = 4


def rows_of(whole: Any) -> list[Any]:
    """The rows in a JSON: objects, bare URLs, and :class:`NoRow`; none if nothing names a video."""
    if table := _table(whole):
        return table
    if isinstance(whole, list):
        return [row for one in whole for row in _of_entry(one, 0)]
    rows = _rows_in(whole, 0)
    if isinstance(whole, dict) and not rows and url_column(flat_record(whole)):
        rows = [whole]
    return rows or _named_urls(whole, 0)


def links_in(value: Any) -> Iterator[str]:
    """The URLs in a JSON, wherever they stand."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            left += reversed(list(one.values()))
        elif isinstance(one, list | tuple):
            left += reversed(one)
        elif is_link(one):
            yield one


def is_link(value: Any) -> bool:
    """Whether a value is a URL."""
    return isinstance(value, str) and "://" in value


def _table(whole: Any) -> list[Any]:
    """The rows of a table that is written as one: in columns, or as lists with their names.

    pandas writes an object of columns, each an array or an object by row, or ``columns`` and
    ``data``; others an array of arrays, the first of which has the names.
    """
    if isinstance(whole, dict) and isinstance(whole.get("columns"), list):
        whole = [whole["columns"], *(whole["data"] if isinstance(whole.get("data"), list) else ())]
    if isinstance(whole, list):
        if len(whole) < 2 or not isinstance(whole[0], list):
            return []
        names = column_names([str(name) for name in whole[0]])
        return [_of_cells(names, row) for row in whole[1:]] if url_column(names) else []
    if not isinstance(whole, dict) or not url_column(names := column_names([*map(str, whole)])):
        return []
    columns = list(whole.values())
    videos = columns[names.index(url_column(names))]
    if all(isinstance(one, list) for one in columns):
        if any(isinstance(one, dict) for one in videos):
            return []
        longest = max(map(len, columns))
        if all(len(one) == longest for one in columns):
            return [row_of(names, cells) for cells in zip(*columns, strict=True)]
        shortest = min(map(len, columns))  # from there on it is not known what belongs together
        why = f"the columns are of different lengths, {shortest} to {longest}"
        return [
            row_of(names, cells) if number < shortest else NoRow(why)
            for number, cells in enumerate(zip_longest(*columns))
        ]
    if all(isinstance(one, dict) for one in columns):
        keys = dict.fromkeys(key for one in columns for key in one)
        if not url_column(column_names([*map(str, keys)])):
            return [row_of(names, (one.get(key) for one in columns)) for key in keys]
    return []


def _of_cells(names: list[str], row: Any) -> Any:
    if not isinstance(row, list):
        return NoRow(f"not an array of cells, as the first row is, but {_kind(row)}")
    if len(row) > len(names) and not all(map(is_blank, row[len(names) :])):
        return NoRow(f"{len(row)} columns, the header has {len(names)}")
    return row_of(names, row)


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _rows_in(value: Any, depth: int) -> list[Any]:
    """The array or object of objects with the most that name videos, somewhere inside a value.

    Several beside each other that are of one kind, as of ``train`` and ``test``, are taken
    together. An object's keys become the ``id`` of objects that have none, if they look like
    YouTube's.
    """
    if depth > _DEEPEST or not isinstance(value, list | dict):
        return []
    if isinstance(value, list):
        rows = [row for one in value for row in _of_entry(one, depth)]
        found, others = sum(map(_names_video, rows)), sum(isinstance(r, str | dict) for r in rows)
        return rows if (found and 2 * found >= others) or _are_ids(rows) else []
    objects = {key: _with_id(key, one) for key, one in value.items() if isinstance(one, dict)}
    objects = {key: one for key, one in objects.items() if one and key.lower() not in _ABOUT_ALL}
    found = sum(map(_names_video, objects.values()))
    best: list[Any] = []
    if found and 2 * found >= len(objects):
        best = [row for key, one in value.items() for row in _beside(key, one, objects.get(key))]
    found = sum(map(_names_video, best))
    for key, one in _together(value, depth).items():
        if len(one) > found or (len(one) == found and key.lower() in _CONTAINERS):
            best, found = one, len(one)
    return best


def _of_entry(entry: Any, depth: int) -> list[Any]:
    """An entry of an array: itself, or the rows that it holds if it names no video itself.

    Those have what the entry says besides, as the name of whom they show.
    """
    if not isinstance(entry, dict | list) or _names_video(entry):
        return [entry]
    if isinstance(entry, list) and len(entry) > 1 and [*map(_names_video, entry)].count(True) == 1:
        return [entry]  # cells of a row
    rows = _rows_in(entry, depth + 1)
    if not rows or isinstance(entry, list):
        return rows or [entry]
    rest = {key: one for key, one in entry.items() if not isinstance(one, dict | list)}
    return [one if isinstance(one, NoRow) else {**rest, **_as_object(one)} for one in rows]


def _beside(key: str, value: Any, row: Mapping[str, Any] | None) -> list[Any]:
    """The rows that an entry of an object is in which most objects are rows."""
    if row is not None:
        return [row]
    if key.lower() in _ABOUT:
        return []
    if _is_named(value):
        return [{"key": key, "url": value}]
    if isinstance(value, list) and (rows := _rows_in(value, _DEEPEST)):
        return [_of_group(key, row) for row in rows]
    return [NoRow(f"{key[:80]!r}: {_kind(value)}, which names no video")] if is_blank(value) else []


def _together(value: Mapping[str, Any], depth: int) -> dict[str, list[Any]]:
    """The rows below each key of an object; those of one kind are below the first key of them."""
    parts = [(key, _rows_in(one, depth + 1), False) for key, one in value.items()]
    if any(rows for _, rows, _ in parts) and not url_column(column_names([*map(str, value)])):
        # Beside arrays of such there may be one alone.
        parts = [
            (key, rows or [value[key]], not rows)
            for key, rows, _ in parts
            if rows or (key.lower() not in _ABOUT and _names_video(value[key]))
        ]
    parts = [part for part in parts if part[1]]
    kinds: list[tuple[set[str], list[tuple[str, list[Any]]]]] = []
    for key, rows, alone in sorted(parts, key=lambda part: part[2]):
        names = set() if key.lower() in _ABOUT else _names_of(rows)
        same = next((found for known, found in kinds if _of_one_kind(names, known)), None)
        if same is not None:
            same.append((key, rows))
        elif not alone:
            kinds.append((names, [(key, rows)]))
    return {
        found[0][0]: found[0][1]
        if len(found) == 1
        else [_of_group(key, row) for key, rows in found for row in rows]
        for _, found in kinds
    }


def _names_of(rows: list[Any]) -> set[str]:
    """The columns of the first of some rows that names a video."""
    row = next(filter(_names_video, rows), rows[0])
    return {*flat_record(row)} if isinstance(row, Mapping) else {"url"}


def _of_one_kind(names: set[str], known: set[str]) -> bool:
    """Whether rows of such columns are as others are; bare URLs are as all that have a URL."""
    if {"url"} in (names, known):
        return all(any(name in URL for name in one) for one in (names, known))
    return bool(names) and 2 * len(names & known) >= len(names | known)


def _of_group(key: str, row: Any) -> Any:
    """A row that says below which of several keys it was."""
    return row if isinstance(row, NoRow) else {GROUP: key, **_as_object(row)}


def _as_object(row: Any) -> Mapping[str, Any]:
    return row if isinstance(row, Mapping) else {"url": row}


def _named_urls(value: Any, depth: int) -> list[Any]:
    """A row for each entry of an object that has names for URLs, or of such objects in it.

    What the names mean is not known: they are labels. Most entries that hold anything must be URLs;
    the others become rows that name no video, so that the user is told of them.
    """
    if depth > _DEEPEST or not isinstance(value, dict):
        return []
    filled = [one for one in value.values() if not is_blank(one)]
    if 2 * sum(map(is_link, filled)) > len(filled):
        return [
            {"key": key, **({"url": one} if is_link(one) else {})} for key, one in value.items()
        ]
    inner = {key: rows for key, one in value.items() if (rows := _named_urls(one, depth + 1))}
    if len(inner) == 1:
        return next(iter(inner.values()))
    return [{GROUP: key, **row} for key, rows in inner.items() for row in rows]


def _with_id(key: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    key = key.removesuffix(AGAIN)
    return {"id": key, **row} if is_youtube_id(key) else row


def _names_video(row: Any) -> bool:
    return bool(url_column(flat_record(row))) if isinstance(row, Mapping) else _is_named(row)


def _is_named(value: Any) -> bool:
    """Whether a text is a URL or a video file's name."""
    is_file = isinstance(value, str) and Path(value).suffix.lower() in VIDEO_SUFFIXES
    return is_file or is_link(value)


def _are_ids(rows: list[Any]) -> bool:
    """Whether all texts of an array can be YouTube's ids, and are no words."""
    return bool(rows) and all(
        isinstance(one, str) and is_youtube_id(one) and any(map(str.isdigit, one)) for one in rows
    )
