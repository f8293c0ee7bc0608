"""What of this machine may be used: cores and memory, as a container or a scheduler limits them.

Linux tells both by control groups; elsewhere, and without a limit, all of the machine counts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
#: Bytes that one worker needs, with its models and a video in it.
WORKER_BYTES = 2**30
#: From here on a limit of version 1 means that there is none.
_NO_LIMIT = 2**60


def without_reports() -> None:
    """Keep onnxruntime from reporting its use to its makers: called before it is imported.

    Loaded without it, 1.32 puts a number that tells users apart into the temporary folder, and
    sends events over the network. A variable that is set is left as it is.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def cores(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> int:
    """Cores that this process may use, at least 1: its affinity, and the quota of its groups."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [float(usable or 1)]
    for folder in _groups(root, own):
        quota, period = (*_words(folder / "cpu.max"), "", "")[:2]
        if not quota:
            quota = "".join(_words(folder / "cpu.cfs_quota_us"))
            period = "".join(_words(folder / "cpu.cfs_period_us"))
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    return max(1, math.floor(min(quotas) + 0.5))


def memory_limit(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that this process's groups may use together; None if nothing limits them."""
    limits = []
    for folder in _groups(root, own):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = "".join(_words(folder / name))
            if text.isdigit() and int(text) < _NO_LIMIT:
                limits.append(int(text))
    return min(limits, default=None)


def workers() -> int:
    """Workers that fit: one a core, as long as there is memory for each."""
    limit = memory_limit()
    return cores() if limit is None else max(1, min(cores(), limit // WORKER_BYTES))


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's control groups, and of those above them."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        base = root / controllers if controllers else root
        place = base / path.lstrip("/")
        # In a container the path is the host's, and what limits it lies at the root.
        for folder in {place, *place.parents, base}:
            if folder.is_relative_to(base):
                yield folder


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
