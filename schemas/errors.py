"""The one error a user sees: what happened, where, and what to do next."""

from __future__ import annotations


class FshError(Exception):
    """An expected failure, told in one line.

    Args:
        what: what went wrong, in the user's words.
        where: the file, URL, line or option it happened at; may be empty.
        remedy: what the user can do next; may be empty.
    """

    def __init__(self, what: str, *, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, str(where), remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        line = f"{line} → {self.remedy}" if self.remedy else line
        return " ".join(line.split())

    def __reduce__(self):  # keyword-only arguments survive a trip between processes
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[FshError], what: str, where: str, remedy: str) -> FshError:
    return kind(what, where=where, remedy=remedy)


class SpecMismatch(FshError):
    """Faces prepared in two different ways were about to meet."""


class SchemaMismatch(FshError):
    """A table on disk does not have the columns this version of fsh reads."""
