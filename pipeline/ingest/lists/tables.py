"""Lists that are tables: CSV, TSV and Parquet, with a header or without."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fsh.pipeline.ingest.lists.columns import column_names, row_of, url_column
from fsh.pipeline.ingest.lists.nesting import flat_record
from fsh.pipeline.ingest.lists.records import from_records
from fsh.pipeline.ingest.lists.requests import Listing, parse_time
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.text import shown

#: Half the side of a box that stands for a face's middle, as a share of the frame.
_MIDDLE = 0.01

#: Bytes of a cell: a transcript or an embedding is longer than what Python takes by itself.
csv.field_size_limit(2**26)


def delimiter_of(header: str) -> str:
    """The delimiter of a table's first line, or empty if it has none.

    It is the one that leaves a name of the column of URLs, else the first that is there; a bar
    only counts so, as URLs may hold some.
    """
    marks = [mark for mark in "\t,;|" if mark in header]
    known = (mark for mark in marks if url_column(column_names(header.split(mark))))
    return next(known, next((mark for mark in marks if mark != "|"), ""))


def stated_delimiter(line: str) -> str:
    """The delimiter that a line states to spreadsheets, as in ``sep=;``; empty if none."""
    found = re.fullmatch(r'"?sep=(.)"?', line.strip(), re.IGNORECASE)
    return found[1] if found else ""


def read_delimited(lines: Sequence[str], where: str, base: Path | None, mark: str) -> Listing:
    """A table with a header line, or one whose first cell already is a URL or a path."""
    rows = _rows_with_header(lines, mark)
    header = next((cells for _, cells in rows if isinstance(cells, list)), [])
    names = column_names(header)
    if not url_column(names):
        rows, names = _rows_with_header(lines, mark), []
    listing = from_records(_records_of_rows(rows, names), where, base)
    comments = [n for n, line in enumerate(lines, 1) if _is_comment(line) and "://" in line]
    if comments:
        what = f"{len(comments)} of its lines, such as {comments[0]}, begin with # and hold a URL"
        listing.notes.append(f"{shown(where)}: {what}: taken for comments")
    return listing


def _rows_with_header(lines: Sequence[str], mark: str) -> Iterator[tuple[int, list[str] | str]]:
    """The rows of a table but for empty ones and comments."""
    for number, cells, first in _numbered_rows(lines, mark):
        empty = isinstance(cells, list) and not any(cell.strip() for cell in cells)
        if not empty and not _is_comment(first):
            yield number, cells


def _is_comment(line: str) -> bool:
    """Whether a row is one, by its first line; one that is quoted is none."""
    return line.lstrip().startswith("#")


def read_parquet(path: Path, where: str, base: Path | None) -> Listing:
    """A Parquet table; its rows are counted from 1."""
    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise FshError(f"not a readable Parquet file ({error})", where=where) from error
    try:
        rows = [flat_record(row) for row in table.to_pylist()]
    except (pa.ArrowException, ValueError, OverflowError) as error:  # texts that are no UTF-8
        raise FshError(f"not a readable Parquet file ({error})", where=where) from error
    names = list(dict.fromkeys(name for row in rows for name in row))
    names = names or column_names(table.column_names)
    if not url_column(names):
        return Listing(notes=[no_urls_note(where, table.num_rows, names)])
    return from_records(enumerate(rows, 1), where, base)


def no_urls_note(where: str, rows: int, names: Sequence[str]) -> str:
    """A note for the user: a table names no videos."""
    columns = ", ".join(name for name in names if name)
    what = "without any URL, path or video id"
    return f"{shown(where)}: a table of {rows} rows {what} (columns: {columns})"


def _numbered_rows(lines: Sequence[str], mark: str) -> Iterator[tuple[int, list[str] | str, str]]:
    """(line, cells, first line) of a table; a row that cannot be read becomes its reason.

    A quote that is never closed costs the line that it is in, and not those after it.
    """
    begin, width = 0, 0
    while begin < len(lines):
        first = begin
        reader = _reader((lines[i] for i in range(first, len(lines))), mark)
        while True:
            try:
                cells: list[str] | str = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                cells = f"not a table's row ({error})"
            end = first + reader.line_num
            if end - begin > 1 and not _is_whole(lines[begin:end], mark, cells, width):
                begin += 1
                yield begin, "a quote that is not closed", lines[begin - 1]
                break
            if isinstance(cells, list):
                width = max(width, len(cells))
            yield end, cells, lines[begin]
            begin = end


def _is_whole(lines: Sequence[str], mark: str, cells: list[str] | str, width: int) -> bool:
    """Whether several lines are one row: its quotes end, and it has no more cells than others."""
    if isinstance(cells, str) or 0 < width < len(cells):
        return False
    try:
        return len(list(_reader(lines, mark, strict=True))) == 1
    except csv.Error:
        return False


def _reader(lines: Iterable[str], mark: str, *, strict: bool = False) -> Any:
    whole = (f"{line}\n" for line in lines)
    return csv.reader(whole, delimiter=mark, skipinitialspace=True, strict=strict)


def _records_of_rows(
    rows: Iterable[tuple[int, list[str] | str]], names: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """(line, cells by the columns' names).

    A row that does not fit the header becomes the reason. Without names, what a cell is depends on
    its shape.
    """
    for number, cells in rows:
        if isinstance(cells, str):
            yield number, cells
        elif not names:
            yield number, record_without_header(cells)
        elif len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            yield number, f"{len(cells)} columns, the header has {len(names)}"
        else:
            yield number, row_of(names, cells)


def record_without_header(cells: Sequence[str]) -> Mapping[str, Any] | str:
    """url[, start, end][, identity] by the shape of the cells, or AVSpeech's five.

    What else there is becomes the label ``more``; a second URL makes the row none, which is told.

    AVSpeech's rows are ``id, start, end, x, y`` with the middle of the speaker's face in shares of
    the frame: a box around it that is so small tells which of several faces is meant.
    """
    url, *rest = [cell.strip() for cell in cells]
    if more := next((cell for cell in rest if "://" in cell), ""):
        return f"more than a URL: {url[:120]!r} and {more[:120]!r}"
    record: dict[str, Any] = {"youtube_id" if is_id(url) else "url": url}
    if are_times(rest[:2]):
        record |= {"start": rest[0], "end": rest[1]}
        rest = rest[2:]
    if are_times(rest) and all(re.fullmatch(r"[01]|[01]?\.\d+", cell) for cell in rest):
        x, y = map(float, rest)
        record["bbox"] = [x - _MIDDLE, y - _MIDDLE, x + _MIDDLE, y + _MIDDLE]
    elif rest:
        record |= {"identity": rest[0], "more": ", ".join(filter(None, rest[1:]))}
    return record


def is_id(text: str) -> bool:
    """Whether a cell is a YouTube id, whatever it looks like otherwise."""
    return urls.youtube_key(f"https://youtu.be/{text}") == text and bool(text)


def are_times(cells: Sequence[str]) -> bool:
    """Whether two cells are a start and an end."""
    return len(cells) == 2 and all(map(_is_time, cells))


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True
