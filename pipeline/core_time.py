"""How long processes have waited for a core: what is not done meanwhile is no fault of theirs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path


def core_waits(group: int) -> dict[int, int]:
    """Nanoseconds for which each thread of a process group was ready to run and had no core.

    By the thread's number; empty where the system does not tell (Linux does).
    """
    waits = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(process.name)) == group:
                for thread in (process / "task").iterdir():
                    waits[int(thread.name)] = _waited(thread)
    return waits


def seconds_without_core(group: int, before: Mapping[int, int]) -> float:
    """Seconds for which a thread of a process group had no core since :func:`core_waits` was asked.

    That of the thread that has waited longest. One that has begun since counts like the others,
    however long those had waited before.
    """
    waits = core_waits(group).items()
    return max((waited - before.get(thread, 0) for thread, waited in waits), default=0) / 1e9


def _waited(thread: Path) -> int:
    """Nanoseconds; the file holds those with a core, those without, and the times it got one."""
    try:
        return int((thread / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # it has ended
        return 0
