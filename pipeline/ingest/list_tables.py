"""Lists that are tables: CSV, TSV, Parquet, JSON lines, and VoxCeleb's frame ranges."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fsh.pipeline.ingest.requests import (
    BadLine,
    Box,
    Listing,
    Request,
    as_box,
    check_range,
    locate,
    parse_box,
    parse_time,
)
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.text import shown

# The first name that a table has wins.
_URL = [
    "url",
    "link",
    "uri",
    "video_url",
    "source_url",
    "href",
    "path",
    "file",
    "filename",
    "file_path",
    "video_path",
    "video",
    "src",
    "source",
]
_YOUTUBE = ["youtube_id", "yt_id", "ytid", "video_id", "videoid", "id"]
_START = ["start", "start_time", "start_sec", "start_seconds", "begin", "from", "t0"]
_END = ["end", "end_time", "end_sec", "end_seconds", "stop", "to", "t1"]
_START_FRAME, _END_FRAME = ["start_frame", "frame_start"], ["end_frame", "frame_end"]
_IDENTITY = [
    "identity",
    "person_id",
    "person",
    "speaker_id",
    "speaker",
    "subject",
    "celebrity",
    "name",
    "label",
]
_BOX = ["bbox", "box", "bounding_box", "face_box"]
_CORNERS = (
    ("left", "x1", "xmin"),
    ("top", "y1", "ymin"),
    ("right", "x2", "xmax"),
    ("bottom", "y2", "ymax"),
)
_LICENSE = ["license", "licence"]


def delimiter_of(header: str) -> str:
    """The delimiter of a table's first line, or empty if it has none."""
    return next((mark for mark in "\t,;" if mark in header), "")


def url_column(names: Iterable[str]) -> str:
    """The column that says which video is meant, or empty."""
    known = set(names)
    return next((name for name in (*_URL, *_YOUTUBE) if name in known), "")


def column_names(header: Sequence[str]) -> list[str]:
    return [cell.strip().strip("\ufeff\"'").lower().replace(" ", "_") for cell in header]


def read_delimited(lines: Sequence[str], where: str, base: Path | None) -> Listing:
    """A table with a header line, or one whose first cell already is a URL or a path.

    The delimiter is a tab, comma or semicolon, as the first line has it.
    """
    first = next(i for i, line in enumerate(lines) if line.strip())
    mark = delimiter_of(lines[first]) or ","
    reader = csv.reader(lines, delimiter=mark, skipinitialspace=True)
    rows = _numbered_rows(reader)
    header: list[str] = []
    for _, cells in rows:
        if isinstance(cells, list) and any(cell.strip() for cell in cells):
            header = cells
            break
    names = column_names(header)
    if url_column(names):
        return _from_records(_records_of_rows(rows, names), where, base)
    reader = csv.reader(lines, delimiter=mark, skipinitialspace=True)
    return _from_records(_records_of_rows(_numbered_rows(reader), []), where, base)


def read_json(lines: Sequence[str], where: str, base: Path | None) -> Listing:
    """One JSON object per line, or one array of objects. A bare string is a URL."""

    def records() -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield number, _as_record(json.loads(line))
                except ValueError as error:
                    yield number, f"not JSON ({error})"

    text = "\n".join(lines)
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text)
        except ValueError as error:
            raise FshError("not a JSON array", where=where, remedy=str(error)) from None
        return _from_records(
            ((i, _as_record(entry)) for i, entry in enumerate(entries, 1)), where, base
        )
    return _from_records(records(), where, base)


def read_parquet(path: Path, where: str, base: Path | None) -> Listing:
    """A Parquet table; its rows are counted from 1."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise FshError(f"not a readable Parquet file ({error})", where=where) from error
    table = table.rename_columns(column_names(table.column_names))
    if not url_column(table.column_names):
        return Listing(notes=[no_urls_note(where, table.num_rows, table.column_names)])
    return _from_records(enumerate(table.to_pylist(), 1), where, base)


def no_urls_note(where: str, rows: int, names: Sequence[str]) -> str:
    """A note for the user: a table names no videos."""
    columns = ", ".join(name for name in names if name)
    what = f"a table of {rows} rows without any URL, path or video id (columns: {columns})"
    return f"{shown(where)}: {what}"


def _numbered_rows(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """(line, cells) of a csv.reader; a row that it cannot read becomes its reason."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"not a table's row ({error})"
            continue
        yield reader.line_num, cells


def _records_of_rows(
    rows: Iterable[tuple[int, list[str] | str]], names: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """(line, cells by the columns' names), comments and empty rows left out.

    A row that does not fit the header becomes the reason. Without names, what a cell is depends on
    its shape.
    """
    for number, cells in rows:
        if isinstance(cells, str):
            yield number, cells
        elif not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
            continue
        elif not names:
            yield number, _record_without_header(cells)
        elif len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            yield number, f"{len(cells)} columns, the header has {len(names)}"
        else:
            yield number, dict(zip(names, cells, strict=False))


def _record_without_header(cells: Sequence[str]) -> Mapping[str, Any]:
    """url[, start, end][, identity] by the shape of the cells."""
    url, *rest = [cell.strip() for cell in cells]
    record: dict[str, Any] = {"url": url}
    if len(rest) >= 2 and all(_is_time(cell) for cell in rest[:2]):
        record |= {"start": rest[0], "end": rest[1]}
        rest = rest[2:]
    if rest:
        record["identity"] = rest[0]
    return record


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


def _as_record(entry: Any) -> Mapping[str, Any] | str:
    if isinstance(entry, str):
        return {"url": entry}
    if not isinstance(entry, dict):
        return f"a JSON object or string is wanted, not {type(entry).__name__}"
    return dict(zip(column_names([str(key) for key in entry]), entry.values(), strict=True))


def _from_records(
    records: Iterable[tuple[int, Mapping[str, Any] | str]], where: str, base: Path | None
) -> Listing:
    """Requests of numbered records; a text in a record's place says why it is none."""
    listing = Listing()
    for number, record in records:
        try:
            if isinstance(record, str):
                raise ValueError(record)
            listing.requests.append(_request(record, where, number, base))
        except (ValueError, TypeError) as error:
            listing.bad_lines.append(BadLine(where, number, str(error)))
    return listing


def _request(record: Mapping[str, Any], where: str, number: int, base: Path | None) -> Request:
    """Raises:
    ValueError: if a value of the row is not what its column should hold.
    """
    start, end = _range(record)
    check_range(start, end)
    box = _box(record)
    return Request(
        url=_url(record, base),
        list=where,
        line=number,
        start=start,
        end=end,
        identity=_text(record, _IDENTITY),
        bbox=box,
        bbox_width=_size(record, "bbox_width", "width") if box else None,
        bbox_height=_size(record, "bbox_height", "height") if box else None,
        license=_text(record, _LICENSE),
        trusted=base is not None,
    )


def _url(record: Mapping[str, Any], base: Path | None) -> str:
    if entry := _text(record, _URL):
        return locate(entry, base)
    key = _text(record, _YOUTUBE)
    if not key:
        raise ValueError("no URL, path or video id")
    if len(key) == 11 and urls.youtube_key(f"https://youtu.be/{key}"):
        return f"https://www.youtube.com/watch?v={key}"
    return locate(key, base)


def _range(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Seconds. VoxCeleb's start and end count frames at the row's own fps."""
    voxceleb = {"video_id", "start", "end", "bbox", "fps"} <= record.keys()
    starts, ends = (_START, _END) if voxceleb else (_START_FRAME, _END_FRAME)
    start, end = _text(record, starts), _text(record, ends)
    fps = parse_time(_text(record, ["fps"])) if voxceleb or start or end else None
    if voxceleb or ((start or end) and fps):
        if not fps:
            raise ValueError("a frame range without a frame rate")
        first, last = parse_time(start), parse_time(end)
        return (
            None if first is None else round(first / fps, 6),
            None if last is None else round(last / fps, 6),
        )
    return parse_time(_text(record, _START)), parse_time(_text(record, _END))


def _box(record: Mapping[str, Any]) -> Box | None:
    for name in _BOX:
        value = record.get(name)
        if isinstance(value, list | tuple):
            return as_box(value)
        if value is not None and str(value).strip():
            return parse_box(str(value))
    corners = [_text(record, names) for names in _CORNERS]
    return as_box(map(float, corners)) if all(corners) else None


def _size(record: Mapping[str, Any], *names: str) -> int | None:
    value = parse_time(_text(record, names))
    return int(value) if value else None


def _text(record: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first named cell that holds anything, as text."""
    for name in names:
        value = record.get(name)
        if value is not None and str(value).strip():
            return str(value).strip()
    return ""
