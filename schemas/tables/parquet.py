"""Tables in files: whole, as records, or a group of rows at a time.

Written and read only through this module, which checks the columns (:mod:`columns`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fsh.schemas.errors import FshError, SchemaMismatch
from fsh.schemas.places.temporary import replacing
from fsh.schemas.tables.columns import CLIPS, SOURCES
from fsh.schemas.tables.records import Clip, Source
from fsh.schemas.tables.rows import GROUP, ROWS_AT_ONCE, records_of, row_groups, tables_of
from fsh.schemas.tables.versions import check_columns, table_title, upgraded_table


def to_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table. A column that a row lacks becomes null; one it has too many is an error."""
    known, rows, tables = set(schema.names), iter(rows), []
    while some := list(islice(rows, ROWS_AT_ONCE)):
        for row in some:
            if extra := set(row) - known:
                raise SchemaMismatch(f"columns {sorted(extra)} are not in {table_title(schema)}")
        tables.append(pa.Table.from_pylist(some, schema=schema))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def write_table(table: pa.Table, path: Path, schema: pa.Schema) -> None:
    """Write Parquet (zstd) under a temporary name, then rename; the same rows, the same bytes."""
    write_tables([table], path, schema)


def write_tables(tables: Iterable[pa.Table], path: Path, schema: pa.Schema) -> None:
    """Write tables as one; never more than one of them is needed at a time."""
    with (
        replacing(path) as temporary,
        temporary.open("wb") as file,  # Arrow takes only paths that are UTF-8
        pq.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for table in tables:
            check_columns(table.schema, schema, path)
            # In one piece: of the same rows in other pieces Parquet would make other pages.
            whole = table.select(schema.names).combine_chunks()
            writer.write_table(whole, row_group_size=GROUP)


def tables_in(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    """Read Parquet, a group of rows after the other, and check that it has this schema's columns.

    A table of an older version is read as if it had today's names; new columns are null.

    Raises:
        FshError: if there is no such table.
        SchemaMismatch: naming the missing and the unknown columns, or the newer version of fsh
            that wrote it; also if it is damaged.
    """
    try:
        for group in row_groups(path):
            table = upgraded_table(group, schema, path)
            check_columns(table.schema, schema, path)
            yield table
    except (FileNotFoundError, NotADirectoryError):
        command = "shard" if table_title(schema) == table_title(CLIPS) else "ingest"
        raise FshError(
            f"no {table_title(schema)} here", where=path, remedy=f"run `fsh {command}` first"
        ) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        line = f"not a readable Parquet file ({error})"
        raise SchemaMismatch(line, where=path, remedy=_rewrite(schema)) from error


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """The whole of :func:`tables_in`."""
    return pa.concat_tables(tables_in(path, schema))


def read_clips(path: Path, columns: Sequence[str] = ()) -> list[Clip]:
    """The rows of a table of clips, as :func:`tables_in` reads them.

    Args:
        columns: those that are wanted, ``video_id`` among them, or all; what is in the others is
            as in a clip of which it is not known.

    Raises:
        SchemaMismatch: see :func:`tables_in`; also for a value that a column cannot have.
    """
    tables = (one.select(columns) if columns else one for one in tables_in(path, CLIPS))
    return [clip for table in tables for clip in clips_of(table, path)]


def clips_of(table: pa.Table, where: object = "") -> list[Clip]:
    """The rows of a table of clips that was read.

    Args:
        where: it was, for messages.

    Raises:
        SchemaMismatch: for a value that a column cannot have.
    """
    return records_of(table, CLIPS, Clip, where)


def write_clips(clips: Iterable[Clip], path: Path) -> None:
    """Write a table of clips: the same clips, the same bytes."""
    write_tables(tables_of(clips, CLIPS, Clip.in_table), path, CLIPS)


def read_sources(path: Path) -> list[Source]:
    """The rows of a table of sources, as :func:`read_table` reads them.

    Raises:
        SchemaMismatch: see :func:`read_table`; also for a value that a column cannot have.
    """
    return records_of(read_table(path, SOURCES), SOURCES, Source, path)


def write_sources(sources: Iterable[Source], path: Path) -> None:
    """Write a table of sources: the same sources, the same bytes."""
    write_tables(tables_of(sources, SOURCES, Source.in_table), path, SOURCES)


def _rewrite(schema: pa.Schema) -> str:
    """How to get a table back that cannot be read."""
    if table_title(schema) == table_title(CLIPS):
        return "run `fsh shard` again"
    return "move it away and run `fsh ingest` with the same lists again"
