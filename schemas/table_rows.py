"""From Parquet files to tables, and from tables to Python values.

A few thousand rows at a time, whose vectors stay arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fsh.schemas.stores import content_of, is_remote

#: Rows that are Python values at once.
ROWS_AT_ONCE = 16_384
#: Bytes from which a table is read by several threads: waiting for them takes longer otherwise.
_THREADS_FROM = 2**20


def read_parquet(path: Path) -> pa.Table:
    """A table in a file, or in an object store.

    Raises:
        FileNotFoundError, OSError, pa.ArrowException: as they come.
    """
    if is_remote(path):
        content = content_of(path)
        return _read(pa.BufferReader(content), len(content))
    with path.open("rb") as file:  # Arrow takes only paths that are UTF-8
        return _read(file, os.fstat(file.fileno()).st_size)


def _read(source: Any, size: int) -> pa.Table:
    return pq.ParquetFile(source, pre_buffer=False).read(use_threads=size > _THREADS_FROM)


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
