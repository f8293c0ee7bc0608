"""Real engines for tests: each process is started by the test that needs it and stopped by it.

Where what an engine needs is missing, its tests are skipped with the reason; not in CI (`.ci/run`).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

#: Seconds that anything may take before a test gives up on it.
PATIENCE = 240


def need(missing: str) -> None:
    """Skip the test for want of something, if there is any."""
    if missing:
        pytest.skip(missing)


def need_dask() -> None:
    need("" if find_spec("distributed") else 'no Dask: pip install "fsh[dask]"')


def prism() -> str:
    """Path of Beam's Go runner."""
    beside = Path(sys.executable).with_name("prism")
    places = [beside, shutil.which("prism"), Path.home() / "go" / "bin" / "prism"]
    found = next((str(path) for path in places if path and Path(path).is_file()), "")
    version = "v2.77.0"
    command = f"go install github.com/apache/beam/sdks/v2/go/cmd/prism@{version}"
    need("" if found else f"no prism beside Python, on the path or in ~/go/bin: {command}")
    return found


def free_port() -> int:
    """A free port below those that the system gives to connections: until a server has it, nothing
    else gets it, not even a connection that looks for that server."""
    while True:
        port = random.SystemRandom().randint(10_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(**more: str) -> dict[str, str]:
    """For child processes: this Python, this fsh, and no proxy before the loopback."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "no_proxy": "localhost,127.0.0.1",
        **more,
    }


@contextmanager
def running(*command: object, log: Path, **more: str) -> Iterator[subprocess.Popen]:
    """A process in a group of its own, killed with all it started at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            env=environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        kill_group(process)


def kill_group(process: subprocess.Popen) -> None:
    """Kill -9 a process and whatever else is in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition: Callable[[], object], what: str, alive: subprocess.Popen | None = None):
    """Until something is so, while a process lives that is to bring it about."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        assert alive is None or alive.poll() is None, f"ended before {what}"
        time.sleep(0.05)


@contextmanager
def dask_scheduler(folder: Path) -> Iterator[Path]:
    """The scheduler file of a Dask scheduler."""
    need_dask()
    file = folder / "scheduler.json"
    command = (sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0")
    with running(
        *command, "--no-dashboard", "--scheduler-file", file, log=folder / "scheduler.log"
    ):
        wait_until(lambda: file.is_file() and file.read_text().strip().endswith("}"), "Dask")
        yield file


def wait_for_dask_workers(file: Path, count: int) -> None:
    """Until so many workers have met the scheduler."""
    from distributed import Client

    with Client(scheduler_file=str(file), set_as_default=False) as client:
        client.wait_for_workers(count, timeout=PATIENCE)


def dask_worker(file: Path, **more: str):
    """A Dask worker of one thread, with its supervisor; a context."""
    command = (sys.executable, "-m", "dask", "worker", "--scheduler-file", file, "--nthreads", 1)
    return running(*command, "--no-dashboard", log=file.with_suffix(".log"), **more)


@contextmanager
def prism_job_server(folder: Path) -> Iterator[str]:
    """The endpoint of a Prism job server."""
    port = free_port()
    with running(
        prism(), "-job_port", port, "-serve_http=false", log=folder / "prism.log"
    ) as server:
        wait_until(lambda: answers(port), "Prism", server)
        yield f"localhost:{port}"


@contextmanager
def worker_pool(folder: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The endpoint of Beam's worker pool, and its process."""
    port = free_port()
    command = (sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main")
    log = folder / "pool.log"
    with running(
        *command, "--service_port", port, "--container_executable", "", log=log
    ) as process:
        wait_until(lambda: answers(port), "the worker pool", process)
        yield f"localhost:{port}", process


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_fsh(*arguments: object, log: Path, **more: str) -> subprocess.Popen:
    """The command line, its messages in ``log``; Ctrl-C reaches it even from a background shell."""
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from fsh.cli.app import run; run()"
    )
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            env=environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
        )


def command_line(pid: int) -> bytes:
    """A process's words, each with a zero byte behind it; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descendants(pid: int) -> set[int]:
    """A process and all below it."""
    found, todo = set(), [pid]
    while todo:
        one = todo.pop()
        found.add(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                todo += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found
