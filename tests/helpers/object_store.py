"""A real S3 server on loopback for tests, and a proxy before it that does what networks do.

The server is versitygw over a folder. Where it is missing tests are skipped with the reason; not in
CI (`.ci/run`).
"""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from clusters import free_port, need, running

from fsh.data_places import data_folder
from fsh.schemas.places.layout import DataFolder

BUCKET = "lab"
_VERSION = "v1.8.0"
_KEYS = {"ROOT_ACCESS_KEY": "tests", "ROOT_SECRET_KEY": "of-fsh-alone"}


def versitygw() -> str:
    """Path of the server."""
    beside = Path(sys.executable).with_name("versitygw")
    places = [beside, shutil.which("versitygw"), Path.home() / "go" / "bin" / "versitygw"]
    found = next((str(path) for path in places if path and Path(path).is_file()), "")
    command = f"go install github.com/versity/versitygw/cmd/versitygw@{_VERSION}"
    need("" if found else f"no versitygw beside Python, on the path or in ~/go/bin: {command}")
    need("" if find_spec("s3fs") and find_spec("upath") else 'no s3fs: pip install "fsh[s3]"')
    return found


@contextmanager
def s3_server(folder: Path, port: int = 0) -> Iterator[int]:
    """Serve ``folder/lab`` as a bucket; the port."""
    server, port = versitygw(), port or free_port()
    (folder / BUCKET).mkdir(parents=True, exist_ok=True)
    command = (server, "--port", f"127.0.0.1:{port}", "--quiet", "posix", folder)
    with running(*command, log=folder.with_name("versitygw.log"), **_KEYS):
        _wait_for(port)
        yield port


def _wait_for(port: int) -> None:
    until = time.monotonic() + 240
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def settings(port: int, cache: Path) -> dict[str, str]:
    """Environment of a process that uses the server, and keeps its copies in ``cache``."""
    return {
        "AWS_ACCESS_KEY_ID": _KEYS["ROOT_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": _KEYS["ROOT_SECRET_KEY"],
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "FSH_CACHE": str(cache),
        "no_proxy": "localhost,127.0.0.1",
    }


@contextmanager
def using(port: int, cache: Path) -> Iterator[None]:
    """This process uses the server."""
    from s3fs import S3FileSystem

    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings(port, cache).items():
            patch.setenv(name, value)
        S3FileSystem.clear_instance_cache()
        try:
            yield
        finally:
            S3FileSystem.clear_instance_cache()


class Place:
    """A data folder in the bucket: by its address, and as the server's own files."""

    def __init__(self, served: Path, name: str, of: DataFolder | None = None) -> None:
        """``of``: it begins as a copy of that folder."""
        self.served, self.name = served, name
        self.address = f"s3://{BUCKET}/{name}"
        if of is not None:
            copy_folder(of.root, served, name)
        self.files = DataFolder(served / BUCKET / name)

    @property
    def data(self) -> DataFolder:
        return data_folder(self.address)

    def videos(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.files.videos.glob("*")}


class Proxy:
    """Hands connections on to a server, or answers itself, as ``decide`` says.

    Attributes:
        port: where it listens.
        requests: the first line of every request that it saw.
        decide: given a request's first line, what becomes of it: ``pass``, ``slow down`` (503),
            ``cut`` (the connection ends in the middle of the answer), ``drop`` (at once).
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self.requests: list[str] = []
        self.decide: Callable[[str], str] = lambda line: "pass"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request per connection: what comes after it would have to be parsed."""
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := client.recv(65536)):
                    return
                head += more
            line = head.partition(b"\r\n")[0].decode()
            self.requests.append(line)
            what = self.decide(line)
            if what == "drop":
                return
            if what == "slow down":
                body = b"<Error><Code>SlowDown</Code><Message>reduce your rate</Message></Error>"
                if b"100-continue" not in head.lower():
                    self._drain(client, head)
                client.sendall(
                    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\n"
                    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                return
            self._pass(client, head, cut=what == "cut")

    @staticmethod
    def _drain(client: socket.socket, head: bytes) -> None:
        headers, _, body = head.partition(b"\r\n\r\n")
        for line in headers.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                left = int(line.partition(b":")[2]) - len(body)
                while left > 0 and (more := client.recv(min(left, 65536))):
                    left -= len(more)

    def _pass(self, client: socket.socket, head: bytes, *, cut: bool) -> None:
        request, _, rest = head.partition(b"\r\n\r\n")
        lines = [one for one in request.split(b"\r\n") if not one.lower().startswith(b"connection")]
        with socket.create_connection(("127.0.0.1", self._server)) as server:
            server.sendall(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + rest)
            threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
            sent = 0
            while answer := server.recv(65536):
                client.sendall(answer[: 2000 - sent] if cut else answer)
                sent += len(answer)
                if cut and sent >= 2000:
                    break
            # Closing alone would not end what another thread still reads from.
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                target.sendall(block)


@contextmanager
def proxied(server: int) -> Iterator[Proxy]:
    proxy = Proxy(server)
    try:
        yield proxy
    finally:
        proxy.close()


def copy_folder(folder: Path, served: Path, name: str) -> str:
    """Put a data folder into the bucket, as a copy of all its files; its address."""
    shutil.copytree(folder, served / BUCKET / name, symlinks=False)
    return f"s3://{BUCKET}/{name}"


def objects(served: Path, name: str) -> dict[str, bytes]:
    """Every object below a name in the bucket."""
    root = served / BUCKET / name
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
