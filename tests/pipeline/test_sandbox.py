"""A job in a sandbox may crash, hang or use up its memory: only that job fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox_jobs import (
    allocate,
    be_killed,
    crash,
    double,
    exit_with_3,
    fail_with_bug,
    fail_with_reason,
    hang_with_child,
    keep_a_copy,
    own_id,
    sleep,
)

from fsh.pipeline import core_time
from fsh.pipeline.core_time import core_waits, seconds_without_core
from fsh.pipeline.engine.idle_pool import IdlePool
from fsh.pipeline.sandbox import JobAbandoned, JobFailed, Sandbox


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    for _ in range(2400):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def sandbox():
    box = Sandbox(memory_limit=600 * 2**20)
    yield box
    box.close()


def test_one_worker_does_many_jobs(sandbox):
    assert [sandbox.run(double, x, timeout=120) for x in range(3)] == [0, 2, 4]
    assert sandbox.run(own_id, timeout=120) == sandbox.run(own_id, timeout=120) != os.getpid()


def test_temporary_files_of_a_worker_end_with_it(sandbox, tmp_path, monkeypatch):
    """Workers are killed, so none of their own clearing away is ever done."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    copies = [Path(sandbox.run(keep_a_copy, timeout=120)) for _ in range(2)]
    assert all(copy.read_bytes() == b"large" and tmp_path in copy.parents for copy in copies)
    sandbox.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("work", "kind", "detail"),
    [
        (fail_with_reason, "unreadable", "a.mp4: no frame"),
        (fail_with_bug, "internal", "ValueError: a bug (fail_with_bug:"),
        (crash, "crashed", "SIGSEGV"),
        (exit_with_3, "crashed", "exit 3"),
    ],
)
def test_a_failure_has_a_kind_and_the_next_job_works(sandbox, work, kind, detail):
    with pytest.raises(JobFailed) as failure:
        sandbox.run(work, timeout=120)
    assert failure.value.kind == kind
    assert detail in failure.value.detail
    assert sandbox.run(double, 4, timeout=120) == 8


def test_a_job_whose_worker_the_system_killed_is_done_once_more(sandbox, tmp_path):
    note = tmp_path / "tries"
    assert sandbox.run(be_killed, str(note), 1, timeout=120) == 2
    note.unlink()
    with pytest.raises(JobFailed) as failure:
        sandbox.run(be_killed, str(note), 9, timeout=120)
    assert failure.value.kind == "memory" and "killed twice" in failure.value.detail
    assert note.read_text() == "xx"
    assert sandbox.run(double, 4, timeout=120) == 8


def test_a_hanging_job_is_killed_with_its_children(sandbox, tmp_path):
    note = tmp_path / "pid"
    sandbox.run(double, 1, timeout=120)  # it has started
    with pytest.raises(JobFailed, match="timeout"):
        sandbox.run(hang_with_child, str(note), timeout=5)
    assert gone(int(note.read_text()))
    assert sandbox.run(double, 4, timeout=120) == 8


def test_time_without_a_core_does_not_count(sandbox, monkeypatch):
    sandbox.run(double, 1, timeout=600)  # it has started
    monkeypatch.setattr("fsh.pipeline.sandbox.seconds_without_core", lambda group, before: 3600.0)
    monkeypatch.setattr("fsh.pipeline.sandbox._PATIENCE", 1000.0)
    assert sandbox.run(sleep, 0.6, timeout=0.3) == 0.6
    monkeypatch.setattr("fsh.pipeline.sandbox._PATIENCE", 3.0)
    begun = time.monotonic()
    with pytest.raises(JobFailed, match="timeout"):
        sandbox.run(sleep, 600.0, timeout=0.3)
    assert time.monotonic() - begun >= 0.9


def test_what_a_thread_has_waited_for_a_core_before_is_not_this_jobs(monkeypatch):
    """Nor does it hide what one waits that has begun since, such as a decoder's."""
    waits = {os.getpid(): {1: 9 * 10**9, 2: 2 * 10**9}}
    monkeypatch.setattr(core_time, "core_waits", lambda process: waits.get(process, {}))
    group = os.getpgid(0)
    assert seconds_without_core(group, {1: 8_500_000_000}) == 2.0
    assert seconds_without_core(group, {1: 8_500_000_000, 2: 2 * 10**9, 3: 7}) == 0.5


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell")
def test_two_that_share_a_core_wait_for_it():
    script = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
    command = [sys.executable, "-c", script]
    first = subprocess.Popen(command, process_group=0)
    second = subprocess.Popen(command, process_group=first.pid)
    try:
        before, until = core_waits(first.pid), time.monotonic() + 300
        while seconds_without_core(first.pid, before) < 0.2 and time.monotonic() < until:
            time.sleep(0.05)
        assert seconds_without_core(first.pid, before) >= 0.2
    finally:
        for one in (first, second):
            one.kill()
            one.wait()
    assert core_waits(first.pid) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_DATA")
def test_a_job_that_uses_too_much_memory_fails_alone(sandbox):
    assert sandbox.run(allocate, 50, timeout=120) == 50
    with pytest.raises(JobFailed) as failure:
        sandbox.run(allocate, 900, timeout=120)
    assert failure.value.kind == "memory"
    assert sandbox.run(double, 4, timeout=120) == 8


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_workers_and_their_children_die_with_whoever_started_them(tmp_path):
    note = tmp_path / "pid"
    script = (
        f"from sandbox_jobs import *\nSandbox().run(hang_with_child, {str(note)!r}, timeout=600)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", script], env=environment)
    for _ in range(6000):
        if note.exists() and note.read_text():
            break
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(int(note.read_text()))


def test_a_pool_shares_jobs_and_outlives_a_crash():
    pool = IdlePool(Sandbox, Sandbox.close)

    def run(work, *arguments):
        with pool.taken() as sandbox:
            return sandbox.run(work, *arguments, timeout=120)

    with ThreadPoolExecutor(2) as threads:
        jobs = [threads.submit(run, double, x) for x in range(6)]
        bad = threads.submit(run, exit_with_3)
        more = threads.submit(run, double, 50)
        assert [job.result() for job in jobs] == [0, 2, 4, 6, 8, 10]
        with pytest.raises(JobFailed):
            bad.result()
        assert more.result() == 100
    pids = {run(own_id) for _ in range(3)}
    assert len(pids) == 1  # the one used last is used again
    pool.close()
    assert gone(pids.pop())


def test_a_job_that_nobody_wants_any_more_is_killed(sandbox, tmp_path):
    note = tmp_path / "pid"
    with pytest.raises(JobAbandoned):
        sandbox.run(hang_with_child, str(note), timeout=600, wanted=lambda: not note.exists())
    assert gone(int(note.read_text()))
    assert sandbox.run(double, 4, timeout=120) == 8
