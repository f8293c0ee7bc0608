"""The bytes of a direct link, all of them: taken up again where a connection breaks off.

A host that cannot go on, or whose file is another one by now, is asked for the whole again by
whoever called.
"""

from __future__ import annotations

import http.client
import re
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from fsh.pipeline.ingest import failures
from fsh.pipeline.ingest.failures import Failure
from fsh.schemas.tables.records import ErrorClass

_BLOCK = 2**18
#: A connection may break off so often, if something came each time.
_BREAKS = 100
#: What hosts pack a file with though nobody asked for it; zlib tells the two apart.
_PACKED = ("gzip", "x-gzip", "deflate")
_EITHER = zlib.MAX_WBITS + 32
#: Packed bytes that are unpacked at a time: they may grow a thousandfold.
_AT_A_TIME = 2**14

_SPAN = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

#: The code of the answer to a request for what follows the last byte.
_NOTHING_FOLLOWS = "http_416"

#: Asks for the same file once more, with further headers.
Ask = Callable[[Mapping[str, str]], Any]


def stated_length(response: Any) -> int | None:
    """Bytes that a response says it has; None if it does not."""
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def _is_marked(response: Any) -> bool:
    """Whether a response says where it ends; else it ends where the connection does."""
    return stated_length(response) is not None or bool(response.chunked)


def whole_body(response: Any, url: str, ask: Ask) -> Generator[bytes, None, bool]:
    """The blocks of a file, unpacked; whether that is known to be all of it.

    A host that marks no end is asked for what follows: many know that, and cut what they pass on.

    Args:
        response: to the first request; whoever opened it closes it.

    Raises:
        Failure: if they do not come, or fewer than the host promised.
    """
    length, size, known = stated_length(response), 0, _is_marked(response)
    unpacker = _Unpacker(url) if _encoding_of(response) in _PACKED else None
    part = response
    try:
        for tries in range(1, _BREAKS + 1):
            begin, failure = size, None
            try:
                while block := read_block(part, url):
                    size += len(block)
                    yield from unpacker.blocks(block) if unpacker else [block]
            except Failure as broken:
                failure = broken
            if failure is None and length is not None and size != length:
                text = f"{url}: {size} bytes of {length}"
                failure = Failure(ErrorClass.TRANSIENT, "truncated", text)
            if failure is None and not known and size > begin:
                known, length = _stated_end(size, ask)
                if length is not None and length > size:
                    text = f"{url}: {size} bytes of {length}, as it says when asked for the rest"
                    failure = Failure(ErrorClass.TRANSIENT, "truncated", text)
            if failure is None:
                break
            goes_on = size > begin and failure.error_class == ErrorClass.TRANSIENT
            further = goes_on and tries < _BREAKS
            following = _following(response, size, length, ask) if further else None
            if following is None:
                raise failure
            if part is not response:
                part.close()
            part = following
    finally:
        if part is not response:
            part.close()
    if unpacker:
        unpacker.require_end()
    return known or unpacker is not None


def read_block(response: Any, url: str) -> bytes:
    """The next bytes of a response; empty at its end.

    Raises:
        Failure: if they do not come.
    """
    try:
        return response.read1(_BLOCK)
    except http.client.IncompleteRead as error:
        raise Failure(ErrorClass.TRANSIENT, "truncated", f"{url}: {error!r}") from error
    except http.client.HTTPException as error:
        raise Failure(ErrorClass.TRANSIENT, "network", f"{url}: {error!r}") from error
    except OSError as error:
        raise failures.from_os(error, url) from error


def _stated_end(size: int, ask: Ask) -> tuple[bool, int | None]:
    """Whether a host says how long a file is if asked for what follows, and the bytes it then says.

    Bytes are None if they are as many as came, or the host does not say.
    """
    try:
        response = ask({"Range": f"bytes={size}-"})
    except Failure as failure:
        return failure.code == _NOTHING_FOLLOWS, None
    response.close()
    span = _SPAN.fullmatch(response.headers.get("Content-Range", "").strip())
    if response.status != 206 or span is None or int(span[1]) != size or span[2] == "*":
        return False, None
    return True, int(span[2])


def _following(first: Any, size: int, length: int | None, ask: Ask) -> Any:
    """The response with what follows of the same file; None if the host does not give it."""
    same = first.headers.get("ETag", "")
    if not same or same.startswith("W/"):
        same = first.headers.get("Last-Modified", "")
    if not same:
        return None  # nothing would tell another file from this one
    try:
        response = ask({"Range": f"bytes={size}-", "If-Range": same})
    except Failure:
        return None
    span = _SPAN.fullmatch(response.headers.get("Content-Range", "").strip())
    sizes = ("*", str(length)) if length is not None else None
    is_next = response.status == 206 and span is not None and int(span[1]) == size
    alike = _encoding_of(response) == _encoding_of(first)
    if is_next and alike and span and (sizes is None or span[2] in sizes):
        return response
    response.close()
    return None


def _encoding_of(response: Any) -> str:
    return response.headers.get("Content-Encoding", "").strip().lower()


class _Unpacker:
    """Unpacks blocks."""

    def __init__(self, url: str) -> None:
        self._url, self._inside = url, zlib.decompressobj(_EITHER)

    def blocks(self, block: bytes) -> Iterator[bytes]:
        for begin in range(0, len(block), _AT_A_TIME):
            try:
                if plain := self._inside.decompress(block[begin : begin + _AT_A_TIME]):
                    yield plain
            except zlib.error as error:
                raise self._failure(str(error)) from error

    def require_end(self) -> None:
        if not self._inside.eof:
            raise self._failure("it ends before its end")

    def _failure(self, why: str) -> Failure:
        text = f"{self._url}: packed by the host, and cannot be unpacked ({why})"
        return Failure(ErrorClass.TRANSIENT, "truncated", text)
