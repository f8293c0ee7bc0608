"""Lists in JSON: one object per line, an array, or objects inside an object, by their shape.

CelebV-HQ and CelebV-Text name each clip in an object below ``clips``; TalkVid has an array of
nested objects. What all have in common: somewhere there is a row of objects, each of which names a
video. What is left out of a list is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.lists.columns import AGAIN
from fsh.pipeline.ingest.lists.json_rows import NoRow, is_link, links_in, rows_of
from fsh.pipeline.ingest.lists.nesting import flat_record
from fsh.pipeline.ingest.lists.records import from_records
from fsh.pipeline.ingest.lists.requests import Listing
from fsh.pipeline.ingest.lists.tables import record_without_header
from fsh.schemas.errors import FshError
from fsh.schemas.text import shown

_Row = Mapping[str, Any] | str
#: How the key of a table ends that says what the numbers of a vector mean.
_MAPPING = "_mapping"
#: So many of what is left out are named.
_SHOWN = 3


def read_json(lines: Sequence[str], where: str, base: Path | None) -> Listing:
    """Requests of a text that begins as JSON does. A bare string is a URL.

    Raises:
        FshError: if it is an array that is broken.
    """
    repeated: list[str] = []
    try:
        whole = _parsed("\n".join(lines), repeated)
    except ValueError as error:
        first = next((line for line in lines if line.strip()), "").strip()
        if first == "{" or (first.startswith("[") and not _is_whole(first)):  # no row per line
            raise FshError("not whole JSON", where=where, remedy=str(error)) from None
        repeated.clear()
        whole, rows = None, list(_rows_of_lines(lines, repeated))
    else:
        rows = list(enumerate(rows_of(whole), 1))
        if not rows:
            return Listing(notes=[_nothing_note(whole, where)])
    meanings = _meanings(whole)
    records = [(number, _as_record(row, meanings)) for number, row in rows]
    listing = from_records(records, where, base)
    everything = [row for _, row in rows] if whole is None else whole
    listing.notes += _left_out(everything, [record for _, record in records], where)
    if repeated:
        what = f"keys that stand in one object twice ({len(repeated)}): {_some(repeated)}"
        listing.notes.append(f"{shown(where)}: {what}; each later one is read as 'KEY{AGAIN}'")
    return listing


def _rows_of_lines(lines: Sequence[str], repeated: list[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, _parsed(line, repeated)
            except ValueError as error:
                yield number, NoRow(f"not JSON ({error})")


def _is_whole(line: str) -> bool:
    try:
        _parsed(line, [])
    except ValueError:
        return False
    return True


def _parsed(text: str, repeated: list[str]) -> Any:
    """A JSON; of keys that stand in one object twice with different values, both are kept.

    Args:
        repeated: is given the names of these.

    Raises:
        ValueError: if it is no JSON, or nested too deeply.
    """

    def whole_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found and found[key] != value:
                repeated.append(key)
                while key in found:
                    key += AGAIN
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=whole_object)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _left_out(whole: Any, records: Sequence[_Row], where: str) -> list[str]:
    """A note for the user if URLs in a JSON are in no row of it, as they are of another kind."""
    if isinstance(whole, list) and all(map(is_link, whole)):
        return []  # large lists are often so
    known = {link for record in records for link in _links_read(record)}
    left = list(dict.fromkeys(link for link in links_in(whole) if link not in known))
    if not left:
        return []
    what = f"{len(left)} URLs" if len(left) > 1 else "a URL"
    return [f"{shown(where)}: {what} left out, as in no row of the list: {_some(left)}"]


def _links_read(record: _Row) -> Iterator[str]:
    """The URLs in a row; one that cannot be understood is told as a whole."""
    yield from [record] if isinstance(record, str) else links_in(record)


def _some(texts: Sequence[str]) -> str:
    named = ", ".join(shown(text[:120]) for text in texts[:_SHOWN])
    return f"{named} …" if len(texts) > _SHOWN else named


def _as_record(entry: Any, meanings: Mapping[str, Sequence[str]]) -> _Row:
    """A row with vectors of 0 and 1 as the names of their ones, where the list gives names."""
    if isinstance(entry, NoRow):
        return entry.why
    if isinstance(entry, str):
        return {"url": entry}
    if isinstance(entry, list) and entry and isinstance(entry[0], str) and _are_scalars(entry):
        return record_without_header(["" if one is None else str(one) for one in entry])
    if not isinstance(entry, dict):
        kind = "null" if entry is None else type(entry).__name__
        return f"a JSON object or string is wanted, not {kind}"
    record = flat_record(entry)
    for name, words in meanings.items():
        vector = record.get(name)
        if isinstance(vector, list) and len(vector) == len(words) and {*map(str, vector)} <= _BITS:
            record[name] = [w for w, bit in zip(words, vector, strict=True) if str(bit) in _ONES]
    return record


def _are_scalars(entry: Sequence[Any]) -> bool:
    return not any(isinstance(one, list | dict) for one in entry)


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
