"""Downloads from direct links over HTTP.

Private addresses are refused at the real connection, sizes are checked against the promised ones,
and a transfer that stalls or is too slow is given up on.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import re
import socket
import time
import types
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fsh.pipeline.ingest import failures
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.transfer import stated_length, whole_body
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.tables.records import ErrorClass

_AGENT = "fsh/0.1"
_NO_HEADERS: Mapping[str, str] = types.MappingProxyType({})
_LIST_BYTES = 256 * 2**20
_PAGE = re.compile(rb"\s*(?:<!doctype|<html|<\?xml|<head|<script|<!--|<mpd|#EXTM3U)", re.IGNORECASE)


@dataclass(frozen=True)
class DownloadLimits:
    """When a download is given up on.

    Attributes:
        timeout: seconds without a single byte.
        window, window_bytes: at least so many bytes must come in every so many seconds.
        max_bytes: no video is larger.
    """

    timeout: float = 30.0
    window: float = 60.0
    window_bytes: int = 64 * 2**10
    max_bytes: int = 64 * 2**30


@dataclass(frozen=True)
class Received:
    """A finished download: its bytes' hash and what the host said about them.

    Attributes:
        is_whole: the host said how long it is, or marked its end, or says that nothing follows;
            else it ends where the connection did.
    """

    sha256: str
    bytes: int
    is_whole: bool
    content_type: str
    final_url: str
    last_modified: str


class NotDirect(Exception):
    """The URL leads to a page or a manifest, not to a media file."""


class PeerRule(Protocol):
    """What decides whether the address that a connection really has may be asked."""

    def check_peer(self, host: str, connection: socket.socket) -> None: ...


def guarded(base: type[http.client.HTTPConnection], rule: PeerRule) -> Any:
    """A connection class that sends nothing to an address that the rule does not allow."""

    class Guarded(base):  # type: ignore[valid-type, misc]
        def connect(self) -> None:
            super().connect()
            try:
                rule.check_peer(self.host, self.sock)
            except Failure:
                self.close()
                raise

    return Guarded


def _through(socks: str, base: type[http.client.HTTPConnection]) -> Any:
    """A connection class that goes through a SOCKS proxy, if there is one."""
    if not socks:
        return base
    from yt_dlp.networking._urllib import make_socks_conn_class

    return make_socks_conn_class(base, socks)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, rule: AddressRule, socks: str) -> None:
        super().__init__()
        self._class = guarded(_through(socks, http.client.HTTPConnection), rule)

    def http_open(self, req):
        return self.do_open(self._class, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, rule: AddressRule, socks: str) -> None:
        super().__init__()
        self._class = guarded(_through(socks, http.client.HTTPSConnection), rule)

    def https_open(self, req):
        return self.do_open(self._class, req)


class _Redirect(urllib.request.HTTPRedirectHandler):
    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule

    def http_error_302(self, req, fp, code, msg, headers):
        if target := headers.get("Location"):
            self._rule.check_url(urllib.parse.urljoin(req.full_url, target))
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def open_url(
    url: str, rule: AddressRule, timeout: float, headers: Mapping[str, str] = _NO_HEADERS
) -> Any:
    """An open response with status 200, or 206 if a range is asked for.

    Args:
        headers: sent besides the usual ones.

    Raises:
        Failure: whatever else comes of it.
    """
    rule.check_url(url)
    opener = urllib.request.OpenerDirector()
    proxies = rule.proxies_for(url)
    socks = next((p for p in proxies.values() if p.lower().startswith("socks")), "")
    for handler in (
        urllib.request.ProxyHandler({} if socks else proxies),
        _Http(rule, socks),
        _Https(rule, socks),
        _Redirect(rule),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    usual = {"User-Agent": _AGENT, "Accept": "*/*"}
    sent = {**usual, **headers, "Accept-Encoding": "identity"}
    try:
        request = urllib.request.Request(url, headers=sent)
        response = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise failures.from_status(error.code, url, error.headers.get("Retry-After")) from error
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, OSError):
            raise failures.from_os(reason, url) from error
        raise Failure(ErrorClass.TRANSIENT, "network", f"{url}: {reason}") from error
    except OSError as error:
        raise failures.from_os(error, url) from error
    except http.client.InvalidURL as error:
        raise Failure(ErrorClass.PERMANENT, "bad_url", f"{url}: {error}") from error
    except (http.client.HTTPException, ValueError) as error:
        text = f"{url}: no proper answer ({str(error).strip() or type(error).__name__})"
        raise Failure(ErrorClass.TRANSIENT, "network", text) from error
    if response.status != 200 and not (response.status == 206 and "Range" in sent):
        with response:
            raise Failure(ErrorClass.PERMANENT, "http_status", f"HTTP {response.status} from {url}")
    return response


def download(
    url: str,
    target: Path,
    rule: AddressRule,
    limits: DownloadLimits,
    *,
    clock: Callable[[], float] = time.monotonic,
    stopped: Callable[[], bool] = lambda: False,
) -> Received:
    """Stream a media file into ``target``, hashing on the way.

    Raises:
        NotDirect: the first bytes are those of a page or a manifest.
        Failure: an error, a size over the limit, too slow, fewer bytes than the host promised.
        NoRoom: no room for it.
    """
    with open_url(url, rule, limits.timeout) as response:
        length = stated_length(response)
        if length is not None and length > limits.max_bytes:
            raise _too_large(url, length, limits)
        digest, size = hashlib.sha256(), 0
        speed = _SpeedCheck(url, limits, clock)
        ask = functools.partial(open_url, url, rule, limits.timeout)
        blocks = _Blocks(whole_body(response, url, ask))
        try:
            with target.open("wb") as file, contextlib.closing(blocks.parts):
                for block in blocks:
                    if size == 0 and _PAGE.match(block):
                        raise NotDirect(response.headers.get_content_type())
                    file.write(block)
                    digest.update(block)
                    size += len(block)
                    if size > limits.max_bytes:
                        raise _too_large(url, size, limits)
                    if stopped():
                        raise failures.run_stopped()
                    speed.received(len(block))
        except OSError as error:
            raise failures.from_os(error, str(target)) from error
        return Received(
            sha256=digest.hexdigest(),
            bytes=size,
            is_whole=blocks.are_whole,
            content_type=response.headers.get_content_type(),
            final_url=response.geturl(),
            last_modified=response.headers.get("Last-Modified", ""),
        )


class _Blocks:
    """The blocks of a body; once they have come, whether they are known to be all of it."""

    def __init__(self, parts: Generator[bytes, None, bool]) -> None:
        self.parts, self.are_whole = parts, False

    def __iter__(self) -> Iterator[bytes]:
        self.are_whole = yield from self.parts


class _SpeedCheck:
    """Counts the bytes of a download in windows of time."""

    def __init__(self, url: str, limits: DownloadLimits, clock: Callable[[], float]) -> None:
        self._url, self._limits, self._clock = url, limits, clock
        self._start, self._bytes = clock(), 0

    def received(self, count: int) -> None:
        """Raises:
        Failure: if too few bytes came in the window that is over now.
        """
        self._bytes += count
        if self._clock() - self._start <= self._limits.window:
            return
        if self._bytes < self._limits.window_bytes:
            text = f"{self._url}: {self._bytes} bytes in {self._limits.window:g} s"
            raise Failure(ErrorClass.TRANSIENT, "too_slow", text)
        self._start, self._bytes = self._clock(), 0


def content_type(url: str, proxy: str = "", timeout: float = 15.0) -> str:
    """The type that a host states for a URL the user named, or empty if it does not answer."""
    rule = AddressRule.for_url(url, trusted=True, proxy=proxy)
    try:
        with open_url(url, rule, timeout) as response:
            return response.headers.get_content_type()
    except (Failure, NoRoom):  # fetching it will tell, and record, what is wrong
        return ""


def download_list(url: str, target: Path, proxy: str = "") -> None:
    """Fetch a list that the user named by its URL.

    Raises:
        FshError: if it cannot be had.
    """
    limits = DownloadLimits(max_bytes=_LIST_BYTES)
    try:
        download(url, target, AddressRule.for_url(url, trusted=True, proxy=proxy), limits)
    except NotDirect:
        raise FshError("this is a web page, not a list", where=url) from None
    except Failure as failure:
        raise FshError(f"the list cannot be fetched ({failure.text})", where=url) from None
    except NoRoom:
        raise FshError("no room left for the list", where=target.parent) from None


def _too_large(url: str, size: int, limits: DownloadLimits) -> Failure:
    text = f"{url}: {size} bytes, over the limit of {limits.max_bytes}"
    return Failure(ErrorClass.REFUSED, "too_large", text)
