"""The text of a list's file: unpacked and decoded, or none if the file is no text."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from fsh.pipeline.media.media_kind import media_kind
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import file_error

#: Endings of lists' names; those of packed ones follow them.
SUFFIXES = frozenset(
    [".txt", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".list", ".lst"]
)
_PACKED_SUFFIXES = frozenset([".gz", ".bz2", ".xz"])
_PACKED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
#: What else people have a list in, by its first bytes, and what to do with it.
_OTHER = {
    b"PK\x03\x04": ("a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": ("an old spreadsheet or document", "save it as CSV"),
    b"7z\xbc\xaf": ("an archive", "unpack it"),
    b"Rar!": ("an archive", "unpack it"),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "unpack it: zstd -d FILE"),
    b"SQLite format 3": ("a database", "export the table as CSV"),
    b"%PDF": ("a PDF", "give its links one per line"),
}
#: No list is larger, unpacked, in bytes.
_MOST = 2**29
_HEAD = 4096

#: What becomes of bytes that an encoding does not know: a file's name may hold them.
_ON_ERROR = {"utf-8-sig": "surrogateescape"}


def list_suffix(name: str) -> str:
    """The ending of a list's name, whether it is packed or not."""
    path = Path(name)
    if path.suffix.lower() in _PACKED_SUFFIXES:
        path = path.with_suffix("")
    return path.suffix.lower()


def head_of(path: Path) -> bytes:
    """The first bytes of a list's file, unpacked.

    Raises:
        FshError: if it is no plain file, cannot be read, or is what no list is read from.
    """
    try:
        if not path.is_file():  # a pipe would have to be read twice
            raise FshError("not a file", where=path, remedy="give a list that is a plain file")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise file_error(error, path) from None
    for mark, (what, remedy) in _OTHER.items():
        if head.startswith(mark):
            raise FshError(f"{what}, which is not read as a list", where=path, remedy=remedy)
    return _read(path, _HEAD) if _opener(head) is not open else head


def text_of(path: Path, head: bytes) -> str | None:
    """The whole text of a list's file; None if it is no text.

    Args:
        head: its first bytes, as :func:`head_of` gives them.

    Raises:
        FshError: if it cannot be read.
    """
    encoding = encoding_of(head, list_suffix(path.name) in SUFFIXES and media_kind(path) is None)
    if not encoding:
        return None
    whole = _read(path, _MOST + 1)
    if len(whole) > _MOST:
        raise FshError(f"a list of more than {_MOST >> 20} MiB", where=path, remedy="divide it")
    return whole.decode(encoding, _ON_ERROR.get(encoding, "replace"))


def encoding_of(head: bytes, is_list: bool = False) -> str:
    """The encoding of a text's first bytes; empty if it is no text.

    Args:
        is_list: whether its name says that it is a list, and its content nothing else.
    """
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if is_list:
        for place, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            zeros = head[place::2].count(0)
            if zeros > 0.8 * len(head[place::2]) > 0 == head[1 - place :: 2].count(0):
                return encoding
        return "utf-8-sig"
    odd = sum(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in head)
    return "" if odd * 100 > len(head) else "utf-8-sig"  # a stray one is one malformed line


def _read(path: Path, most: int) -> bytes:
    """Up to so many bytes of a file, unpacked."""
    try:
        with path.open("rb") as raw:
            opener = _opener(raw.read(_HEAD))
            raw.seek(0)
            file: IO[bytes] = raw if opener is open else opener(raw)
            return file.read(most)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise FshError(f"cannot be unpacked ({error})", where=path) from None
    except OSError as error:
        if error.errno is None:  # bz2's
            raise FshError(f"cannot be unpacked ({error})", where=path) from None
        raise file_error(error, path) from None


def _opener(head: bytes) -> Callable[..., Any]:
    return next((opener for mark, opener in _PACKED.items() if head.startswith(mark)), open)
