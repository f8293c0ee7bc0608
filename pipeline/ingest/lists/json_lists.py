"""Lists in JSON: one object per line, an array, or objects inside an object, by their shape.

CelebV-HQ and CelebV-Text name each clip in an object below ``clips``; TalkVid has an array of
nested objects. What all have in common: somewhere there is a row of objects, each of which names a
video.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.lists.columns import column_names, is_blank, row_of, url_column
from fsh.pipeline.ingest.lists.nesting import flat_record
from fsh.pipeline.ingest.lists.records import from_records
from fsh.pipeline.ingest.lists.requests import Listing
from fsh.schemas.errors import FshError
from fsh.schemas.text import shown
from fsh.schemas.urls import is_youtube_id

_Row = Mapping[str, Any] | str
#: How the key of a table ends that says what the numbers of a vector mean.
_MAPPING = "_mapping"
#: Keys below which the rows of a list are kept.
_CONTAINERS = {"clips", "videos", "data", "items", "entries", "samples", "annotations", "rows"}
#: The label that says below which key of several a row was.
_GROUP = "group"


def read_json(lines: Sequence[str], where: str, base: Path | None) -> Listing:
    """Requests of a text that begins as JSON does. A bare string is a URL.

    Raises:
        FshError: if it is an array that is broken.
    """
    try:
        whole = _parsed("\n".join(lines))
    except ValueError as error:
        first = next((line for line in lines if line.strip()), "").lstrip()
        if first.startswith("[") or first.rstrip() == "{":  # no object per line
            raise FshError("not whole JSON", where=where, remedy=str(error)) from None
        return from_records(_records_of_lines(lines), where, base)
    rows = _table(whole) or (list(whole) if isinstance(whole, list) else _rows_in(whole, 0))
    if isinstance(whole, dict) and not rows and url_column(flat_record(whole)):
        rows = [whole]
    rows = rows or _named_urls(whole, 0)
    meanings = _meanings(whole)
    if not rows:
        return Listing(notes=[_nothing_note(whole, where)])
    return from_records(
        ((i, _as_record(row, meanings)) for i, row in enumerate(rows, 1)), where, base
    )


def _records_of_lines(lines: Sequence[str]) -> Iterator[tuple[int, _Row]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, _as_record(_parsed(line), {})
            except ValueError as error:
                yield number, f"not JSON ({error})"


def _parsed(text: str) -> Any:
    """Raises:
    ValueError: if it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _table(whole: Any) -> list[dict[str, Any]]:
    """The rows of a table that is written as one: in columns, or as lists with their names.

    pandas writes an object of columns, each an array or an object by row, or ``columns`` and
    ``data``; others an array of arrays, the first of which has the names.
    """
    if isinstance(whole, dict) and isinstance(whole.get("columns"), list):
        whole = [whole["columns"], *(whole["data"] if isinstance(whole.get("data"), list) else ())]
    if isinstance(whole, list):
        if len(whole) < 2 or not all(isinstance(row, list) for row in whole):
            return []
        names = column_names([str(name) for name in whole[0]])
        return [row_of(names, row) for row in whole[1:]] if url_column(names) else []
    if not isinstance(whole, dict) or not url_column(names := column_names([*map(str, whole)])):
        return []
    columns = list(whole.values())
    if all(isinstance(one, list) for one in columns) and len({*map(len, columns)}) == 1:
        return [row_of(names, cells) for cells in zip(*columns, strict=True)]
    if all(isinstance(one, dict) for one in columns) and len({*map(tuple, columns)}) == 1:
        return [row_of(names, (one[key] for one in columns)) for key in columns[0]]
    return []


def _rows_in(value: Any, depth: int) -> list[Any]:
    """The array or object of objects with the most that name videos, somewhere inside a value.

    Several beside each other that are of one kind, as of ``train`` and ``test``, are taken
    together. An object's keys become the ``id`` of objects that have none, if they look like
    YouTube's.
    """
    if depth > 4 or not isinstance(value, list | dict):
        return []
    rows: list[Any]
    if isinstance(value, list):
        rows = [one for one in value if isinstance(one, dict | str)]
    else:
        rows = [_with_id(key, one) for key, one in value.items() if isinstance(one, dict) and one]
    found = sum(map(_names_video, rows))
    best = rows if found and 2 * found >= len(rows) else []
    inner = _together(value, depth) if isinstance(value, dict) else {}
    for key, one in inner.items():
        if len(one) > found or (len(one) == found and key.lower() in _CONTAINERS):
            best, found = one, len(one)
    return best


def _together(value: Mapping[str, Any], depth: int) -> dict[str, list[Any]]:
    """The rows below each key of an object; those of one kind are below the first key of them."""
    kinds: list[tuple[set[str], list[tuple[str, list[Any]]]]] = []
    for key, one in value.items():
        if not (rows := _rows_in(one, depth + 1)):
            continue
        names = _names_of(rows[0])
        for known, found in kinds:
            if 2 * len(names & known) >= len(names | known):
                found.append((key, rows))
                break
        else:
            kinds.append((names, [(key, rows)]))
    return {
        found[0][0]: found[0][1]
        if len(found) == 1
        else [_of_group(key, row) for key, rows in found for row in rows]
        for _, found in kinds
    }


def _names_of(row: Any) -> set[str]:
    return {""} if isinstance(row, str) else {*flat_record(row)}


def _of_group(key: str, row: Any) -> Mapping[str, Any]:
    """A row that says below which of several keys it was."""
    return {_GROUP: key, **({"url": row} if isinstance(row, str) else row)}


def _named_urls(value: Any, depth: int) -> list[Any]:
    """A row for each entry of an object that has names for URLs, or of such objects in it.

    What the names mean is not known: they are labels. Most entries that hold anything must be URLs;
    the others become rows that name no video, so that the user is told of them.
    """
    if depth > 4 or not isinstance(value, dict):
        return []
    filled = [one for one in value.values() if not is_blank(one)]
    if 2 * sum(map(_is_url, filled)) > len(filled):
        return [
            {"key": key, **({"url": one} if _is_url(one) else {})} for key, one in value.items()
        ]
    inner = {key: rows for key, one in value.items() if (rows := _named_urls(one, depth + 1))}
    if len(inner) == 1:
        return next(iter(inner.values()))
    return [{_GROUP: key, **row} for key, rows in inner.items() for row in rows]


def _with_id(key: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"id": key, **row} if is_youtube_id(key) else row


def _names_video(row: Any) -> bool:
    return _is_url(row) if isinstance(row, str) else bool(url_column(flat_record(row)))


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and "://" in value


def _as_record(entry: Any, meanings: Mapping[str, Sequence[str]]) -> _Row:
    """A row with vectors of 0 and 1 as the names of their ones, where the list gives names."""
    if isinstance(entry, str):
        return {"url": entry}
    if not isinstance(entry, dict):
        return f"a JSON object or string is wanted, not {type(entry).__name__}"
    record = flat_record(entry)
    for name, words in meanings.items():
        vector = record.get(name)
        if isinstance(vector, list) and len(vector) == len(words) and {*map(str, vector)} <= _BITS:
            record[name] = [w for w, bit in zip(words, vector, strict=True) if str(bit) in _ONES]
    return record


_ONES = {"1", "1.0", "True"}
_BITS = {"0", "0.0", "False", *_ONES}


def _meanings(whole: Any) -> dict[str, list[str]]:
    """Name of a vector → what each of its places means, from ``<name>_mapping`` of the list."""
    if not isinstance(whole, dict):
        return {}
    return {
        name.removesuffix(_MAPPING): [str(word) for word in words]
        for name, words in flat_record(
            {key: one for key, one in whole.items() if key.startswith("meta")}
        ).items()
        if name.endswith(_MAPPING) and isinstance(words, list)
    }


def _nothing_note(whole: Any, where: str) -> str:
    """A note for the user: what a JSON holds that names no videos."""
    if isinstance(whole, dict):
        keys = ", ".join(shown(str(key)[:40]) for key in list(whole)[:10])
        return f"{shown(where)}: JSON without any URL, path or video id (keys: {keys})"
    return f"{shown(where)}: JSON without entries ({type(whole).__name__})"
