"""Probing in a child process: a codec that crashes or hangs costs only its own file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import resource
import select
import subprocess
import sys
import time
from pathlib import Path

from fsh.pipeline.probe import MediaFacts, NotAVideo, probe

_MEMORY = 8 * 2**30


class Prober:
    """A child process that probes one file after another; started when first needed.

    Attributes:
        timeout: seconds that one file may take.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        self.timeout = timeout
        self._child: subprocess.Popen[bytes] | None = None
        self._path, self._asked = Path(), False

    def launch(self) -> None:
        """Start the child if there is none: it loads its codecs while the caller does."""
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-c", "from fsh.pipeline.prober import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )

    def start(self, path: Path) -> None:
        """Begin to probe a file; meanwhile the caller can do something else with it."""
        gone = self._child is not None and self._child.poll() is not None
        if self._asked or gone:  # the caller lost interest in the answer, or the child died idle
            self.close()
        question = json.dumps(os.fspath(path)).encode() + b"\n"
        try:
            self._send(question)
        except BrokenPipeError:  # it died between the look and the question
            self.close()
            self._send(question)
        self._path, self._asked = path, True

    def result(self) -> MediaFacts:
        """What became of the file that was begun last.

        Raises:
            NotAVideo: if it is not let in; code ``crash`` or ``hang`` if its codec failed so.
        """
        answer = self._receive()
        self._asked = False
        if "facts" in answer:
            return MediaFacts(**answer["facts"])
        raise NotAVideo(answer["what"], where=self._path, code=answer["code"])

    def probe(self, path: Path) -> MediaFacts:
        """Both at once."""
        self.start(path)
        return self.result()

    def close(self) -> None:
        self._asked = False
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]
            self._child = None

    def _send(self, question: bytes) -> None:
        self.launch()
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(question)
        self._child.stdin.flush()

    def _receive(self) -> dict:
        assert self._child is not None
        assert self._child.stdout is not None
        answer, until = b"", time.monotonic() + self.timeout
        while not answer.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._child.stdout], [], [], left)[0]:
                self.close()
                return {"what": f"probing took over {self.timeout:g} s", "code": "hang"}
            block = os.read(self._child.stdout.fileno(), 2**16)
            if not block:
                code = self._child.wait()
                self.close()
                return {"what": f"probing crashed (exit status {code})", "code": "crash"}
            answer += block
        return json.loads(answer)


def serve() -> None:
    """The child: answers paths on stdin, one per line, until the parent is gone."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    for line in sys.stdin.buffer:
        try:
            answer: dict = {"facts": dataclasses.asdict(probe(Path(json.loads(line))))}
        except NotAVideo as error:
            answer = {"what": error.what, "code": error.code or "not_media"}
        except MemoryError:
            answer = {"what": "probing ran out of memory", "code": "crash"}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
