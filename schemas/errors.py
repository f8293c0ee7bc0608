"""The one error a user sees: what happened, where, and what to do next."""

from __future__ import annotations

from fsh.schemas.text import sentence, shown


class FshError(Exception):
    """An expected failure, told in one line.

    Args:
        what: what went wrong, in the user's words; names in it as :func:`fsh.schemas.text.shown`
            gives them.
        where: the file, URL, line or option it happened at, as it is; may be empty.
        remedy: what the user can do next; may be empty.
    """

    def __init__(self, what: str, *, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, str(where), remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        line = sentence(self.what)
        line = f"{shown(self.where)}: {line}" if self.where else line
        return f"{line} → {sentence(self.remedy)}" if self.remedy else line

    def __reduce__(self):  # keyword-only arguments survive a trip between processes
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[FshError], what: str, where: str, remedy: str) -> FshError:
    return kind(what, where=where, remedy=remedy)


class SpecMismatch(FshError):
    """Faces prepared in two different ways were about to meet."""


class SchemaMismatch(FshError):
    """A table on disk does not have the columns this version of fsh reads."""
