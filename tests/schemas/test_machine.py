"""Cores and memory as containers and job schedulers limit them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsh.schemas import machine


def group(root: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = root / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "own").write_text(own)
    return root / "cgroup", root / "own"


@pytest.mark.parametrize(
    ("own", "files", "cores", "memory"),
    [
        ("0::/\n", {"cpu.max": "100000 100000", "memory.max": "2147483648"}, 1, 2**31),
        ("0::/\n", {"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/memory.max": "max"}, 1, None),
        ("0::/a/b\n", {"memory.max": "900", "a/b/memory.max": "1000"}, None, 900),
        (
            "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n",
            {
                "memory/memory.limit_in_bytes": "1073741824",
                "cpu,cpuacct/cpu.cfs_quota_us": "100000",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            1,
            2**30,
        ),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None, None),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "1000"}, None, None),
        ("nonsense", {"cpu.max": "x"}, None, None),
    ],
)
def test_limits_of_control_groups(tmp_path, own, files, cores, memory):
    places = group(tmp_path, own, files)
    unlimited = machine.cores(tmp_path / "nothing", tmp_path / "nowhere")
    assert machine.cores(*places) == (cores or unlimited)
    assert machine.memory_limit(*places) == memory


def test_workers_fit_into_the_memory(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 16)
    for limit, count in ((None, 16), (2**29, 1), (3 * 2**30, 3), (2**40, 16)):
        monkeypatch.setattr(machine, "memory_limit", lambda limit=limit: limit)
        assert machine.workers() == count
