"""What a long-running step tells whoever shows it: the step knows no terminal."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by long steps; the command line draws a bar, tests collect or ignore.

    ``start`` opens a bar with a total (None: unknown), ``done`` of it by an earlier call (the time
    left is judged by what comes after), ``advance`` moves it, ``say`` prints a
    line above it (a decision, a default, a problem). All of it goes to stderr.
    """

    def start(self, what: str, total: float | None, unit: str, done: float = 0) -> None: ...

    def advance(self, amount: float = 1, note: str = "") -> None: ...

    def say(self, line: str) -> None: ...

    def stop(self) -> None: ...


class Silent:
    """A Progress that shows nothing."""

    def start(self, what: str, total: float | None, unit: str, done: float = 0) -> None: ...

    def advance(self, amount: float = 1, note: str = "") -> None: ...

    def say(self, line: str) -> None: ...

    def stop(self) -> None: ...
