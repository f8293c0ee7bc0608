"""Downloads from direct links over HTTP.

Sizes are checked against the promised ones, and a transfer that stalls or is too slow is given up
on.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest import failures
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.connections import open_url
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.transfer import stated_length, whole_body
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.tables.records import ErrorClass

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


def download(
    url: str,
    target: Path,
    rule: AddressRule,
    limits: DownloadLimits,
    *,
    clock: Callable[[], float] = time.monotonic,
    stopped: Callable[[], bool] = lambda: False,
    before_next: Callable[[], object] = lambda: None,
) -> Received:
    """Stream a media file into ``target``, hashing on the way.

    Args:
        clock: seconds since any moment.
        stopped: asked between blocks; True ends it.
        before_next: called before the host is asked to go on where a connection broke off; may wait
            for its turn, or raise a Failure.

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

        def ask_again(headers: Mapping[str, str]) -> Any:
            asked = clock()
            before_next()
            speed.paused(clock() - asked)
            return open_url(url, rule, limits.timeout, headers)

        blocks = _Blocks(whole_body(response, url, ask_again))
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

    def paused(self, seconds: float) -> None:
        """For so long the host was not asked for anything."""
        self._start += seconds

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
