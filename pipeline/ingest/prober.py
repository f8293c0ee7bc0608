"""Probing in a sandbox: a codec that crashes or hangs costs only its own file."""

from __future__ import annotations

from pathlib import Path

from fsh.pipeline.media.probe import MediaFacts, NotAVideo, probe
from fsh.pipeline.sandbox import JobFailed, Sandbox
from fsh.schemas.records import RejectReason

_MEMORY = 4 * 2**30


class Prober:
    """Probes one file after another in a worker process that can be killed.

    Attributes:
        timeout: seconds that one file may take.
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
            return self.sandbox.result(self.timeout)
        except JobFailed as failure:
            if isinstance(failure.__cause__, NotAVideo):
                raise failure.__cause__ from None
            code = "hang" if failure.kind is RejectReason.TIMEOUT else "crash"
            what = f"probing failed: {failure.kind}, {failure.detail}"
            raise NotAVideo(what, where=self._path, code=code) from None

    def probe(self, path: Path) -> MediaFacts:
        """:meth:`start` and :meth:`result` at once."""
        self.start(path)
        return self.result()
