"""How far a span has come: told by its worker in a small file, read by whoever shows progress.

A file works on every runner that shares the data folder, and a worker that is killed leaves
nothing but a file that the next attempt deletes with the rest.
"""

from __future__ import annotations

import time
from pathlib import Path

_FILE = "progress"


class Pulse:
    """Tells at most twice a second which share of a span is done."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: of the span's results.
        """
        self._file = folder / _FILE
        self._told = time.monotonic()

    def at(self, share: float) -> None:
        """``share`` of the work, 0 to 1, is done."""
        now = time.monotonic()
        if now - self._told >= 0.5:
            self._told = now
            self._file.write_text(f"{min(1.0, max(0.0, share)):.4f}")

    def end(self) -> None:
        self._file.unlink(missing_ok=True)


def read(folder: Path) -> float:
    """The share of a span's work that is done; 0 if nothing is known."""
    try:
        return float((folder / _FILE).read_text())
    except (OSError, ValueError):  # not begun, just ended, or read while it is being written
        return 0.0
