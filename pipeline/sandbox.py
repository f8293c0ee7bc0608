"""Work that may crash, hang or use up the memory, done in processes that can be killed.

A codec that reads files from the internet can do all three, and an exception handler catches
none of them; a thread cannot be stopped. So each worker is a process of its own, in a process
group of its own: killing the group takes its ffmpeg along. It stays alive between jobs, because
loading the face models takes longer than most clips do.

Pools of the standard library and pebble were considered. Neither kills the worker's own children,
and when the run itself is killed, both leave workers behind that go on writing.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.records import RejectReason

#: Seconds between two looks whether a job is still wanted.
_LOOK = 1.0
_MEMORY_WORDS = ("MemoryError", "bad allocation", "bad_alloc", "Cannot allocate memory")


class JobFailed(Exception):
    """One job failed; its cause is the FshError that the job raised, if it did.

    Args:
        kind: one of :data:`fsh.schemas.records.FAILURES`; ``unreadable`` if the job said why.
        detail: the cause in one line.
    """

    def __init__(self, kind: RejectReason, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class JobAbandoned(Exception):
    """Nobody wants the job's result any more; its worker was killed."""


def _always() -> bool:
    return True


class Sandbox:
    """One killable worker process, started at the first job and again after every failure.

    Not for use by several threads at once.
    """

    def __init__(self, memory_limit: int = 0) -> None:
        """
        Args:
            memory_limit: bytes of private memory (RLIMIT_DATA, so Linux only) that the worker
                and each of its children may use; 0: no limit.
        """
        self._limit = memory_limit
        self._process: subprocess.Popen | None = None
        self._busy = False

    def run(
        self,
        work: Callable[..., Any],
        *args: Any,
        timeout: float,
        wanted: Callable[[], bool] = _always,
    ) -> Any:
        """Call a module-level function in the worker and return what it returns.

        Args:
            wanted: asked about once a second; False ends the job.

        Raises:
            JobFailed: if it raised, crashed, or took longer than ``timeout`` seconds.
            JobAbandoned: if it was not wanted any more.
        """
        self.start(work, *args)
        return self.result(timeout, wanted)

    def start(self, work: Callable[..., Any], *args: Any) -> None:
        """Begin a job; the caller can do something else before it asks for the result."""
        gone = self._process is not None and self._process.poll() is not None
        if self._busy or gone:  # the last result was never asked for, or the idle worker died
            self.close()
        self.launch()
        self._busy = True
        with contextlib.suppress(BrokenPipeError):  # it has just died: the result will say so
            self._jobs.send((work, args))

    def result(self, timeout: float, wanted: Callable[[], bool] = _always) -> Any:
        """What the job that was started gave, at most ``timeout`` seconds from now.

        Raises:
            JobFailed, JobAbandoned: see :meth:`run`.
        """
        until = time.monotonic() + timeout
        try:
            while not self._results.poll(max(0.0, min(_LOOK, until - time.monotonic()))):
                if not wanted():
                    self.close()
                    raise JobAbandoned
                if time.monotonic() >= until:
                    self.close()
                    raise JobFailed(RejectReason.TIMEOUT, f"no result after {timeout:g} s")
            failure, value = self._results.recv()
        except (EOFError, OSError):
            raise JobFailed(*self._cause_of_death()) from None
        self._busy = False
        if failure is None:
            return value
        if failure is RejectReason.MEMORY:
            self.close()  # how much memory the worker still has is unknown
        if isinstance(value, FshError):
            raise JobFailed(failure, str(value)) from value
        raise JobFailed(failure, value)

    def launch(self) -> None:
        """Start the worker if there is none: it loads while the caller does something else."""
        if self._process is None:
            self._start()

    def close(self) -> None:
        """Kill the worker and everything it started."""
        self._busy = False
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._jobs.close()
        self._results.close()
        os.close(self._lifeline)
        self._stderr.close()

    def _start(self) -> None:
        jobs_out, jobs_in = os.pipe()
        results_out, results_in = os.pipe()
        life_out, self._lifeline = os.pipe()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        worker_ends = (jobs_out, results_in, life_out)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from {__name__} import _serve; _serve{(*worker_ends, self._limit)}",
            ],
            pass_fds=worker_ends,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=self._stderr,
            stderr=self._stderr,
            # One thread each: the runner decides how many workers share the cores.
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)}
            | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        )
        for end in worker_ends:
            os.close(end)
        self._jobs = Connection(jobs_in, readable=False)
        self._results = Connection(results_out, writable=False)

    def _cause_of_death(self) -> tuple[RejectReason, str]:
        """Kind and detail of the failure of a worker that died."""
        assert self._process
        code = self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        self.close()
        last = lines[-1][-200:] if lines else ""
        if any(word in line for word in _MEMORY_WORDS for line in lines):
            return RejectReason.MEMORY, last
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return RejectReason.CRASHED, f"worker died of {name} {last}".strip()


def _serve(jobs_fd: int, results_fd: int, life_fd: int, memory_limit: int) -> None:
    """The worker: jobs in, results out, until whoever started it is gone."""
    jobs = Connection(jobs_fd, writable=False)
    results = Connection(results_fd, readable=False)
    threading.Thread(target=_die_with_parent, args=(life_fd,), daemon=True).start()
    if memory_limit:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))
    while True:
        try:
            work, args = jobs.recv()
        except EOFError:
            return
        answer: tuple[RejectReason | None, Any]
        try:
            answer = (None, work(*args))
        except FshError as error:
            memory = any(word in str(error) for word in _MEMORY_WORDS)
            answer = (RejectReason.MEMORY if memory else RejectReason.UNREADABLE, error)
        except MemoryError as error:
            answer = (RejectReason.MEMORY, f"out of memory {error}".strip())
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            detail = f"{type(error).__name__}: {error} ({where.name}:{where.lineno})"
            answer = (RejectReason.INTERNAL, detail)
        results.send(answer)


def _die_with_parent(life_fd: int) -> None:
    os.read(life_fd, 1)  # returns only when the other end is closed
    os.killpg(0, signal.SIGKILL)
