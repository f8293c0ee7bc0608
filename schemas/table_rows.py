"""Tables as Python values, a few thousand rows at a time, whose vectors stay arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

#: Rows that are Python values at once.
ROWS_AT_ONCE = 16_384


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
