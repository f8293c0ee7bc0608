"""Probing and copying in a sandbox: a codec that crashes or hangs costs only its own file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.download import DownloadLimits
from fsh.pipeline.ingest.failures import Failure, run_stopped
from fsh.pipeline.ingest.range_copy import RangeOutcome, RemoteStream, copy_range_in_worker
from fsh.pipeline.media.one_clock import copy_with_one_clock
from fsh.pipeline.media.probe import MediaFacts, NotAVideo, probe
from fsh.pipeline.sandbox import JobAbandoned, JobFailed, Sandbox
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.tables.records import ErrorClass, RejectReason

_MEMORY = 4 * 2**30
#: Bytes a second with which a file is read at least.
_SLOWEST = 5_000_000


class Prober:
    """Probes one file after another in a worker process that can be killed.

    Attributes:
        timeout: seconds that one file may take, besides reading it.
        sandbox: the worker.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        self.timeout = timeout
        self.sandbox = Sandbox(memory_limit=_MEMORY)
        self._path = Path()

    def start(self, path: Path) -> None:
        """Begin to probe a file; the caller can do something else meanwhile."""
        self._path = path
        self.sandbox.start(probe, path)

    def result(self) -> MediaFacts:
        """What the file that was begun last is.

        Raises:
            NotAVideo: if it is not let in; code ``crash`` or ``hang`` if the probing failed so.
        """
        try:
            return self.sandbox.result(self._patience(self._path))
        except JobFailed as failure:
            if isinstance(failure.__cause__, NotAVideo):
                raise failure.__cause__ from None
            code = "hang" if failure.kind is RejectReason.TIMEOUT else "crash"
            what = f"probing failed: {failure.kind}, {failure.detail}"
            raise NotAVideo(what, where=self._path, code=code) from None

    def copy_with_one_clock(
        self, path: Path, copy: Path, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """:func:`~fsh.pipeline.media.one_clock.copy_with_one_clock` in the worker.

        Args:
            stopped: asked while waiting; True ends it.

        Raises:
            Failure: if the run was stopped.
            NotAVideo: if the file cannot be copied; its code is ``clock``.
            NoRoom: if the disk is full.
        """
        try:
            job = (copy_with_one_clock, path, copy)
            self.sandbox.run(*job, timeout=self._patience(path), wanted=lambda: not stopped())
        except JobAbandoned:
            raise run_stopped() from None
        except JobFailed as failure:
            if isinstance(failure.__cause__, NoRoom):
                raise failure.__cause__ from None
            raise NotAVideo(failure.detail, where=path, code="clock") from None

    def copy_range(
        self,
        streams: list[RemoteStream],
        target: Path,
        rule: AddressRule,
        limits: DownloadLimits,
        wanted: tuple[float, float],
        stopped: Callable[[], bool],
    ) -> float:
        """:func:`~fsh.pipeline.ingest.range_copy.copy_range` in the worker.

        Args:
            stopped: asked while waiting; True ends it.

        Raises:
            Failure: if there is no such range, or the run was stopped.
            NoRoom: no room for it.
        """
        slowest = limits.window * max(1.0, wanted[1] - wanted[0])
        self.sandbox.start(copy_range_in_worker, streams, target, rule, limits, wanted)
        try:
            outcome: RangeOutcome = self.sandbox.result(
                self.timeout + slowest, lambda: not stopped()
            )
        except JobAbandoned:
            raise run_stopped() from None
        except JobFailed as failed:
            if stopped():  # it may have died of what ended the run
                raise run_stopped() from None
            if isinstance(failed.__cause__, NoRoom):
                raise failed.__cause__ from None
            code = "too_slow" if failed.kind is RejectReason.TIMEOUT else "crash"
            raise Failure(ErrorClass.TRANSIENT, code, failed.detail) from None
        if outcome.begins is not None:
            return outcome.begins
        raise Failure(
            outcome.error_class,
            outcome.code,
            outcome.text,
            throttled=outcome.throttled,
            retry_after=outcome.retry_after,
        )

    def _patience(self, path: Path) -> float:
        """Seconds that reading a whole file may take."""
        try:
            return self.timeout + path.stat().st_size / _SLOWEST
        except OSError:
            return self.timeout

    def probe(self, path: Path) -> MediaFacts:
        """:meth:`start` and :meth:`result` at once."""
        self.start(path)
        return self.result()
