"""A real HTTP server on loopback that answers as hosts do on bad days, and counts who asks."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Answer = Callable[["Handler"], None]


class Loopback(ThreadingHTTPServer):
    """Serves the answers it was given by path; anything else is 404.

    Attributes:
        hits: path → monotonic times at which it was asked for.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.hits: dict[str, list[float]] = defaultdict(list)

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://127.0.0.1:{self.server_port}"

    def on(self, path: str, answer: Answer) -> str:
        """Answer a path; its URL."""
        self.answers[path] = answer
        return self.url + path

    def times(self) -> list[float]:
        """When anything was asked for, in order."""
        return sorted(moment for moments in self.hits.values() for moment in moments)


class Handler(BaseHTTPRequestHandler):
    server: Loopback

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.server.hits[path].append(time.monotonic())
        try:
            self.server.answers.get(path, status(404))(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_GET

    def reply(self, code: int, body: bytes = b"", **headers: str) -> None:
        headers = {"Content_Length": str(len(body)), **headers}
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments) -> None: ...


@contextmanager
def serving() -> Iterator[Loopback]:
    server = Loopback()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def with_tls(server: Loopback, folder: Path) -> Loopback:
    """The server, speaking TLS with a certificate that is signed by itself.

    Args:
        folder: where the certificate goes, ``certificate.pem``, and its key.
    """
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def media(path: Path, content_type: str = "video/mp4") -> Answer:
    return lambda handler: handler.reply(200, path.read_bytes(), Content_Type=content_type)


def in_parts(path: Path, content_type: str = "video/mp4") -> Answer:
    """Answers as hosts of videos do: a range of the file, if one is asked for."""

    def answer(handler: Handler) -> None:
        body, wanted = path.read_bytes(), handler.headers.get("Range", "")
        if not wanted:
            handler.reply(200, body, Content_Type=content_type)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = body[int(first) : int(last or len(body)) + 1]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"
        handler.reply(206, part, Content_Type=content_type, Content_Range=span)

    return answer


def status(code: int, **headers: str) -> Answer:
    return lambda handler: handler.reply(code, b"no\n", Content_Type="text/plain", **headers)


def redirect(url: str) -> Answer:
    return lambda handler: handler.reply(302, Location=url)


def page(html: str) -> Answer:
    return lambda handler: handler.reply(200, html.encode(), Content_Type="text/html")


def cut(path: Path, share: float, *, stated: bool = True) -> Answer:
    """Hangs up after a share of a file.

    Args:
        stated: it promises the whole one before, by its length.
    """

    def answer(handler: Handler) -> None:
        body = path.read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp4")
        if stated:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: int(len(body) * share)])
        handler.close_connection = True

    return answer


def unmarked(path: Path, share: float, *, ranges: bool = True, **headers: str) -> Answer:
    """States no length and hangs up after a share of what it was asked for.

    Args:
        ranges: it gives parts of the file if asked for them, and says then how long it is.
        headers: of every answer, by which the file is known.
    """

    def answer(handler: Handler) -> None:
        body, wanted = path.read_bytes(), handler.headers.get("Range", "")
        begin = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and ranges else 0
        if begin >= len(body):
            handler.reply(416, Content_Range=f"bytes */{len(body)}")
            return
        handler.send_response(206 if wanted and ranges else 200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if wanted and ranges:
            handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        handler.end_headers()
        handler.wfile.write(body[begin : begin + 1 + int((len(body) - begin) * share)])
        handler.close_connection = True

    return answer


def chunked(path: Path, share: float) -> Answer:
    """Sends a share of a file in chunks; the last chunk, which marks the end, only behind all."""

    def answer(handler: Handler) -> None:
        body = path.read_bytes()
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        part = body[: int(len(body) * share)]
        for begin in range(0, len(part), 5000):
            block = part[begin : begin + 5000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        if share == 1:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return answer


def breaking(path: Path, size: int, *, other_after: int = 0, **headers: str) -> Answer:
    """Hangs up after ``size`` bytes each time, and goes on from where it is asked to.

    Args:
        other_after: so many answers later the file is another one, of the same length.
        headers: of every answer, by which the file is known.
    """
    count = 0

    def answer(handler: Handler) -> None:
        nonlocal count
        body, count = path.read_bytes(), count + 1
        wanted = handler.headers.get("Range", "")
        is_other = 0 < other_after < count
        begin = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        handler.send_response(206 if wanted and not is_other else 200)
        begin = 0 if is_other else begin
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body) - begin))
        handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        handler.end_headers()
        handler.wfile.write(body[begin:] if is_other else body[begin : begin + size])
        handler.close_connection = True

    return answer


def packed(path: Path, encoding: str, share: float = 1.0) -> Answer:
    """A file that the host packs though nobody asked for it; perhaps a part of that."""
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]

    def answer(handler: Handler) -> None:
        body = pack(path.read_bytes())
        handler.reply(200, body[: int(len(body) * share)], Content_Encoding=encoding)

    return answer


def drip(seconds: float) -> Answer:
    """A byte every 50 ms of a file that promises a megabyte."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp4")
        handler.send_header("Content-Length", str(2**20))
        handler.end_headers()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            handler.wfile.write(b"\0")
            handler.wfile.flush()
            time.sleep(0.05)
        handler.close_connection = True

    return answer


def in_turn(*answers: Answer) -> Answer:
    """The first answer to the first request and so on; the last one is for all that follow."""
    left = list(answers)
    lock = threading.Lock()

    def answer(handler: Handler) -> None:
        with lock:
            now = left.pop(0) if len(left) > 1 else left[0]
        now(handler)

    return answer
