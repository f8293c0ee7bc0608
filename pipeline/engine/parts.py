"""A share of the work: what one task of an array job does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash

_T = TypeVar("_T")


@dataclass(frozen=True)
class Part:
    """Part ``number`` of ``count``, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of ``3/40``.

        Raises:
            FshError: if it is no such text.
        """
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise FshError(
                f"a part is a number and how many there are, such as 3/40, not {text!r} (--part)",
                remedy="count from 1: an array job's --array=1-40 does",
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def name(self) -> str:
        """As a beginning of names of files."""
        return f"{self.number}of{self.count}-"

    def of(self, work: Sequence[_T]) -> list[_T]:
        """Every ``count``-th of what is to be done: parts are alike if the work is in order."""
        return list(work[self.number - 1 :: self.count])

    def by_name(self, work: Iterable[_T], name: Callable[[_T], str]) -> list[_T]:
        """What falls to this part by its name, whatever else there is to do."""
        own = self.number - 1
        return [one for one in work if stable_hash(name(one), "part") % self.count == own]
