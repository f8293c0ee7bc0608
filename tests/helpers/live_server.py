"""A live server: in this process for tests of the socket, or as the command itself."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import uvicorn
from places import LINKS
from websockets.sync.client import ClientConnection, connect

from fsh.telepresence.access import Access
from fsh.telepresence.cast import Cast
from fsh.telepresence.messages import Kind, PageData, data_message, read_answer
from fsh.telepresence.server import application
from fsh.telepresence.studio import Studio

#: Seconds that anything may take before a test gives up on it.
PATIENCE = 240


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    url: str
    studio: Studio

    @property
    def address(self) -> str:
        """Scheme, host and port: the page's origin."""
        return self.url.rsplit("/", 2)[0]

    def open(self, origin: str | None = "") -> LivePage:
        """A socket as the page opens it; ``origin``: "" is the page's own."""
        place = self.url.replace("http", "ws", 1) + "socket"
        own = self.address if origin == "" else origin
        return LivePage(connect(place, origin=own, max_size=None))


class LivePage:
    """What the page does on its socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []
        self.number = -1

    def __enter__(self) -> LivePage:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, do: str, **about: Any) -> None:
        self.socket.send(json.dumps({"do": do, **about}))

    def send(self, picture: np.ndarray, at: float | None = None) -> int:
        """Send a frame; its number."""
        self.socket.send(self._message(picture, at))
        return self.number

    def send_all(self, pictures: Sequence[np.ndarray]) -> None:
        """Send frames as fast as can be: before the first is sent they are all encoded."""
        for message in [self._message(picture, None) for picture in pictures]:
            self.socket.send(message)

    def _message(self, picture: np.ndarray, at: float | None) -> bytes:
        self.number += 1
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=85)
        at = self.number / 25 if at is None else at
        return data_message(PageData(Kind.FRAME, self.number, at, jpeg))

    def answer(self, timeout: float = PATIENCE) -> tuple[int, dict[str, Any], np.ndarray | None]:
        """The next drawn frame: number, what is told of it, picture; texts are kept."""
        while True:
            message = self.socket.recv(timeout=timeout)
            if isinstance(message, bytes):
                number, about, jpeg = read_answer(message)
                return number, about, simplejpeg.decode_jpeg(jpeg) if jpeg else None
            self.told.append(json.loads(message))

    def drawn(self, picture: np.ndarray, at: float | None = None):
        """Send a frame and wait for its answer."""
        number = self.send(picture, at)
        while (answer := self.answer())[0] < number:
            pass
        return answer

    def wait(self, kind: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """The next text of a kind, those that were told already among them."""
        end = time.monotonic() + timeout
        while True:
            for i, text in enumerate(self.told):
                if text["tell"] == kind:
                    return self.told.pop(i)
            message = self.socket.recv(timeout=max(0.1, end - time.monotonic()))
            if isinstance(message, str):
                self.told.append(json.loads(message))


@contextmanager
def serving(people: Sequence[Path], recordings: Path, **options: Any) -> Iterator[Served]:
    """A server in a thread of this process."""
    studio = Studio(Cast.of(list(people), None, None), recordings, **options)
    access = Access.new("127.0.0.1")
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application(studio, access, None), log_level="critical", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}/{access.token}/", studio)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listening.close()


class LiveCommand:
    """``fsh live`` as a process of its own."""

    def __init__(self, *arguments: object, cwd: Path) -> None:
        command = [sys.executable, "-m", "fsh.cli", "live", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--no-open", "--json"],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(LINKS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.told: list[str] = []
        assert self.process.stderr is not None
        self.url = ""
        for line in self.process.stderr:
            self.told.append(line)
            if found := re.search(r"http://\S+", line):
                self.url = found[0]
                break
        assert self.url, self.told

    @property
    def tasks(self) -> int:
        """Its threads."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/task").iterdir())

    def stop(self) -> dict[str, Any]:
        """End it as Ctrl-C does, and what it printed."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, err
        return json.loads(out)
