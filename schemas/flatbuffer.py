"""Reading FlatBuffers, the format of TFLite networks: tables, vectors and strings, nothing else.

A table begins with the distance back to its vtable, which holds for each field its place in the
table, 0 if the field has its default. Everything is little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Table:
    """A table in a buffer; fields are named by their numbers in the format's schema.

    Attributes:
        data: the whole buffer.
        at: where in it the table begins.
    """

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        return cls(data, _uint32(data, 0))

    def number(self, field: int, kind: str = "i", default: int = 0) -> int:
        """A number, ``kind`` as of :mod:`struct`."""
        at = self._place(field)
        return struct.unpack_from(f"<{kind}", self.data, at)[0] if at else default

    def table(self, field: int) -> Table | None:
        at = self._place(field)
        return Table(self.data, at + _uint32(self.data, at)) if at else None

    def tables(self, field: int) -> Iterator[Table]:
        """A vector of tables."""
        start, count = self._vector(field)
        for at in range(start, start + 4 * count, 4):
            yield Table(self.data, at + _uint32(self.data, at))

    def array(self, field: int, dtype: str = "<i4") -> np.ndarray:
        """A vector of numbers."""
        start, count = self._vector(field)
        return np.frombuffer(self.data, dtype, count, start)

    def text(self, field: int) -> str:
        return self.array(field, "u1").tobytes().decode()

    def _vector(self, field: int) -> tuple[int, int]:
        at = self._place(field)
        if not at:
            return 0, 0
        start = at + _uint32(self.data, at)
        return start + 4, _uint32(self.data, start)

    def _place(self, field: int) -> int:
        """Where a field is; 0 if it is not there."""
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        size, place = struct.unpack_from("<H", self.data, vtable)[0], 4 + 2 * field
        offset = struct.unpack_from("<H", self.data, vtable + place)[0] if place < size else 0
        return self.at + offset if offset else 0


def _uint32(data: bytes, at: int) -> int:
    return struct.unpack_from("<I", data, at)[0]
