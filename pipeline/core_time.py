"""How long processes have waited for a core: what is not done meanwhile is no fault of theirs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def seconds_without_core(group: int) -> float:
    """Seconds for which a thread of a process group was ready to run and had no core.

    That of the thread that has waited longest; 0 where the system does not tell (Linux does).
    """
    longest, system = 0, Path("/proc")
    for process in system.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(process.name)) == group:
                longest = max([longest, *map(_waited, (process / "task").iterdir())])
    return longest / 1e9


def _waited(thread: Path) -> int:
    """Nanoseconds; the file holds those with a core, those without, and the times it got one."""
    try:
        return int((thread / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # it has ended
        return 0
