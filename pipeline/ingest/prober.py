"""Probing in a sandbox: a codec that crashes or hangs costs only its own file."""

from __future__ import annotations

from pathlib import Path

from fsh.pipeline.media.one_clock import copy_with_one_clock
from fsh.pipeline.media.probe import MediaFacts, NotAVideo, probe
from fsh.pipeline.sandbox import JobFailed, Sandbox
from fsh.schemas.disk import NoRoom
from fsh.schemas.records import RejectReason

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

    def copy_with_one_clock(self, path: Path, copy: Path) -> None:
        """:func:`~fsh.pipeline.media.one_clock.copy_with_one_clock` in the worker.

        Raises:
            NotAVideo: if the file cannot be copied; its code is ``clock``.
            NoRoom: if the disk is full.
        """
        try:
            self.sandbox.run(copy_with_one_clock, path, copy, timeout=self._patience(path))
        except JobFailed as failure:
            if isinstance(failure.__cause__, NoRoom):
                raise failure.__cause__ from None
            raise NotAVideo(failure.detail, where=path, code="clock") from None

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
