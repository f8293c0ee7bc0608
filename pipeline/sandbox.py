"""Work that may crash, hang or use up the memory, done in processes that can be killed.

A codec that reads files from the internet can do all three, and an exception handler catches
none of them; a thread cannot be stopped. So each worker is a process of its own, in a process
group of its own: killing the group takes its ffmpeg along. It stays alive between jobs, because
loading the face models takes longer than most clips do.

Pools of the standard library and pebble were considered. Neither kills the worker's own children,
and when the run itself is killed, both leave workers behind that go on writing. Both also unpickle
what a worker sends; one that a hostile file took over could then run code here. So results are JSON
(:mod:`fsh.schemas.plain`), checked against the type that the job's function states.
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
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from fsh.pipeline.core_time import core_waits, seconds_without_core
from fsh.pipeline.sandbox_answers import MEMORY_WORDS, answer_of_job, read_answer, send_answer
from fsh.schemas.errors import FshError
from fsh.schemas.places.temporary import remove_scratch
from fsh.schemas.tables.records import RejectReason

#: Bytes of the largest result.
_LARGEST = 64 * 2**20
#: Seconds between two looks whether a job is still wanted.
_LOOK = 0.5
#: How many times its timeout a job may take where others have the cores.
_PATIENCE = 10.0


class JobFailed(Exception):
    """One job failed; its cause is the FshError that the job raised, if it did.

    Args:
        kind: one of :data:`fsh.schemas.tables.records.FAILURES`; ``unreadable`` if the job said
            why.
        detail: the cause in one line.
    """

    def __init__(self, kind: RejectReason, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class _Killed(JobFailed):
    """The system killed the worker, which is short of memory perhaps."""


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

        Its result must be plain and of the type that the function states, see
        :mod:`fsh.schemas.plain`.

        Args:
            wanted: asked about twice a second; False ends the job.

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
        self._busy, self._work, self._args = True, work, args
        with contextlib.suppress(BrokenPipeError):  # it has just died: the result will say so
            self._jobs.send((work, args))

    def result(self, timeout: float, wanted: Callable[[], bool] = _always) -> Any:
        """What the job that was started gave, at most ``timeout`` seconds from now.

        Time for which its worker waits for a core, because others have them, does not count, up to
        :data:`_PATIENCE` times the timeout.

        A job whose worker the system killed is done once more, so it may take twice as long: where
        memory is short the system takes what is large, whoever wants the memory.

        Args:
            wanted: see :meth:`run`.

        Raises:
            JobFailed, JobAbandoned: see :meth:`run`.
        """
        try:
            line = self._line(timeout, wanted)
        except _Killed:
            self.start(self._work, *self._args)
            line = self._line(timeout, wanted)
        self._busy = False
        try:
            failure, value = read_answer(line, self._work)
        except ValueError as error:  # nothing that our own worker sends
            self.close()
            raise JobFailed(RejectReason.CRASHED, f"the worker sent no result ({error})") from None
        if failure is None:
            return value
        if failure is RejectReason.MEMORY:
            self.close()  # how much memory the worker still has is unknown
        if isinstance(value, FshError):
            raise JobFailed(failure, str(value)) from value
        raise JobFailed(failure, value)

    def _line(self, timeout: float, wanted: Callable[[], bool]) -> bytes:
        """The line that the worker sends, at most ``timeout`` seconds from now.

        Raises:
            JobFailed: if none comes, or it dies.
            JobAbandoned: if it is not wanted any more.
        """
        assert self._process
        begun, before = time.monotonic(), core_waits(self._process.pid)
        parts, size, until = list[bytes](), 0, begun + timeout
        while True:
            left = until - time.monotonic()
            if left <= 0:
                waited = seconds_without_core(self._process.pid, before)
                until = begun + timeout + min(max(0.0, waited), (_PATIENCE - 1) * timeout)
                left = until - time.monotonic()
            if not wait([self._results], max(0.0, min(_LOOK, left))):
                if not wanted():
                    self.close()
                    raise JobAbandoned
                if left <= 0:
                    self.close()
                    raise JobFailed(RejectReason.TIMEOUT, f"no result after {timeout:g} s")
                continue
            part = os.read(self._results, 2**16)
            if not part:
                raise self._failure_of_dead()
            parts.append(part)
            size += len(part)
            if part.endswith(b"\n"):
                return b"".join(parts)
            if size > _LARGEST:
                self.close()
                raise JobFailed(RejectReason.CRASHED, f"the worker sent over {_LARGEST} bytes")

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
        os.close(self._results)
        os.close(self._lifeline)
        self._stderr.close()
        remove_scratch()

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
        self._results = results_out

    def _failure_of_dead(self) -> JobFailed:
        """Why a worker died."""
        assert self._process
        code = self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        self.close()
        last = lines[-1][-200:] if lines else ""
        if any(word in line for word in MEMORY_WORDS for line in lines):
            return JobFailed(RejectReason.MEMORY, last)
        if code == -signal.SIGKILL:  # nobody here has killed it
            what = "killed twice by the system, which is short of memory perhaps"
            return _Killed(RejectReason.MEMORY, what)
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return JobFailed(RejectReason.CRASHED, f"worker died of {name} {last}".strip())


def _serve(jobs_fd: int, results_fd: int, life_fd: int, memory_limit: int) -> None:
    """The worker: jobs in, results out, until whoever started it is gone."""
    jobs = Connection(jobs_fd, writable=False)
    threading.Thread(target=_die_with_parent, args=(life_fd,), daemon=True).start()
    if memory_limit:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))
    while True:
        try:
            work, args = jobs.recv()
        except EOFError:
            return
        send_answer(results_fd, answer_of_job(work, args))


def _die_with_parent(life_fd: int) -> None:
    os.read(life_fd, 1)  # returns only when the other end is closed
    os.killpg(0, signal.SIGKILL)
