"""From Parquet files to tables, and from tables to Python values.

A few thousand rows at a time, whose vectors stay arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fsh.schemas.errors import SchemaMismatch
from fsh.schemas.places.stores import content_of, is_remote
from fsh.schemas.tables.records import Clip, Source
from fsh.schemas.tables.versions import REMEDY, table_title
from fsh.schemas.text import storable

#: Rows that are Python values at once.
ROWS_AT_ONCE = 16_384
#: Rows of a file's row groups, which are in memory as columns when a table is written.
_BATCHES = 8
GROUP = _BATCHES * ROWS_AT_ONCE
#: Bytes from which a table is read by several threads: waiting for them takes longer otherwise.
_THREADS_FROM = 2**20


def row_groups(path: Path) -> Iterator[pa.Table]:
    """A table in a file, or in an object store, group by group; one without rows is one group.

    Raises:
        FileNotFoundError, OSError, pa.ArrowException: as they come.
    """
    if is_remote(path):
        content = content_of(path)
        yield from _groups(pa.BufferReader(content), len(content))
        return
    with path.open("rb") as file:  # Arrow takes only paths that are UTF-8
        yield from _groups(file, os.fstat(file.fileno()).st_size)


def _groups(source: Any, size: int) -> Iterator[pa.Table]:
    file = pq.ParquetFile(source, pre_buffer=False)
    if not file.num_row_groups:
        yield file.schema_arrow.empty_table()
    for number in range(file.num_row_groups):
        yield file.read_row_group(number, use_threads=size > _THREADS_FROM)


_R = TypeVar("_R")
_C = TypeVar("_C", Clip, Source)


def tables_of(
    records: Iterable[_R], schema: pa.Schema, value: Callable[[_R, str], Any]
) -> Iterator[pa.Table]:
    """Records as tables of :data:`GROUP` rows, made column by column; of none one empty table.

    Args:
        value: of a record's column, as a table holds it, except that texts may be no UTF-8.
    """
    batches = _batches_of(iter(records), schema, value)
    first = list(islice(batches, _BATCHES))
    yield pa.Table.from_batches(first, schema)
    while some := list(islice(batches, _BATCHES)):
        yield pa.Table.from_batches(some, schema)


def _batches_of(
    left: Iterator[_R], schema: pa.Schema, value: Callable[[_R, str], Any]
) -> Iterator[pa.RecordBatch]:
    while some := list(islice(left, ROWS_AT_ONCE)):
        columns = []
        for field in schema:
            values = [value(record, field.name) for record in some]
            if pa.types.is_string(field.type):
                values = [storable(one) if one else one for one in values]
            columns.append(pa.array(values, field.type))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a table, never many of them as Python values at once.

    Embeddings are float32 arrays, not lists of Python's numbers.
    """
    vectors = "embedding" if "embedding" in table.schema.names else None
    for batch in table.to_batches(ROWS_AT_ONCE):
        plain = batch.drop_columns(vectors) if vectors else batch
        rows = plain.to_pylist()
        if vectors:
            for row, vector in zip(rows, vectors_of(batch[vectors]), strict=True):
                row[vectors] = vector
        yield from rows


def vectors_of(column: pa.ListArray) -> list[np.ndarray | None]:
    """Lists of numbers as float32 arrays of their own; None where there are none."""
    values = column.values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    offsets, valid = column.offsets.to_numpy(), column.is_valid().to_numpy(zero_copy_only=False)
    return [
        values[start:end].copy() if there and end > start else None
        for start, end, there in zip(offsets[:-1], offsets[1:], valid, strict=True)
    ]


def records_of(table: pa.Table, schema: pa.Schema, kind: type[_C], where: object) -> list[_C]:
    """The rows of a table as records.

    Raises:
        SchemaMismatch: for a value that a column cannot have.
    """
    try:
        return [kind.from_row(row) for row in rows_of(table)]
    except (TypeError, ValueError) as error:
        raise SchemaMismatch(
            f"not a {table_title(schema)} table ({error})", where=where, remedy=REMEDY
        ) from error
