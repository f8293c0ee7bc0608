"""How long processes have waited for a core: what is not done meanwhile is no fault of theirs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path


def core_waits(process: int) -> dict[int, int]:
    """Nanoseconds for which each thread of a process was ready to run and had no core.

    By the thread's number; empty where the system does not tell (Linux does).
    """
    waits = {}
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            waits[int(thread.name)] = _waited(thread)
    return waits


def seconds_without_core(group: int, before: Mapping[int, int]) -> float:
    """Seconds for which a thread of a process group had no core since :func:`core_waits` was asked
    of the group's first process; that of the thread that has waited longest.

    Other processes of the group are taken to have begun since, as decoders do. How long the first
    one had waited before does not hide what they wait.
    """
    longest = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(number := int(process.name)) == group:
                waits = core_waits(number).items()
                longest = max([longest, *(ns - before.get(thread, 0) for thread, ns in waits)])
    return longest / 1e9


def _waited(thread: Path) -> int:
    """Nanoseconds; the file holds those with a core, those without, and the times it got one."""
    try:
        return int((thread / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # it has ended
        return 0
