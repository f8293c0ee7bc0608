"""The files of journals: lines that are added, each wholly or not at all, here and in a store.

A store has no appending, but it gives an object another content at once. So there a journal is
some objects, each written anew with every line until it is large; who reads finds the lines that it
knows at the same place, as in a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from pathlib import Path

from fsh.schemas.places.disk import explaining_refusals
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import (
    is_remote,
    listing,
    read_range,
    remove_objects,
    store_of,
    write_object,
)

#: Bytes from which on the next line goes into an object of its own.
_LARGE = 100_000
#: How the names of a store's journals end.
_NUMBERED = re.compile(r"-\d{20}\.jsonl$")


def new_file(path: Path) -> int:
    """Make a journal's file; a descriptor to add lines by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    return descriptor


def append_line(descriptor: int, path: Path, line: bytes) -> None:
    """Add a line to a file; it is on the disk when this returns.

    Raises:
        NoRoom: if there is no room for it; the file is as it was before.
    """
    size = os.fstat(descriptor).st_size
    with explaining_refusals(path):
        try:
            written = os.write(descriptor, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, "short write")
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # a device that cannot be cut has kept nothing
                os.ftruncate(descriptor, size)
            raise


class LineObjects:
    """Objects of a store, each named by when it was begun."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: of the journal; its objects are called like it, and when they were begun.
        """
        self._journal, self._path, self._content = path, path, b""

    def append(self, line: bytes) -> None:
        """Add a line; it is in the store when this returns.

        Raises:
            StoreRefused: if the store does not take it.
        """
        if not self._content or len(self._content) >= _LARGE:
            name = f"{self._journal.stem}-{time.time_ns():020d}.jsonl"
            self._path, self._content = self._journal.with_name(name), b""
        write_object(self._path, self._content + line)
        self._content += line


def journal_sizes(data: DataFolder, run: str = "") -> dict[Path, int]:
    """The files of a run's journals, or of all, and their bytes; oldest first."""
    if not is_remote(data.root):
        paths = data.journals.glob(f"{run}*.jsonl")
        facts = sorted((path.stat().st_mtime_ns, path.name, path) for path in paths)
        return {path: path.stat().st_size for *_, path in facts}
    begin = f"{store_of(data.journals)[1]}/"
    found = listing(data.journals, direct=True)
    names = {name.removeprefix(begin): size for name, size in found.items()}
    # Of a worker's files the later one is named later; of others that is when they were begun.
    own = sorted(
        (name.rpartition("-")[2] if _NUMBERED.search(name) else "", name)  # those copied here first
        for name in names
        if name.startswith(run) and name.endswith(".jsonl")
    )
    return {data.journals / name: names[name] for _, name in own}


def read_lines(path: Path, begin: int, end: int) -> bytes:
    """Bytes of a journal's file; the last line may be cut off there."""
    if is_remote(path):
        return read_range(path, begin, end - begin) if end > begin else b""
    with path.open("rb") as file:
        file.seek(begin)
        return file.read(end - begin)


def remove_journals(data: DataFolder) -> None:
    """Remove all journals; nobody may be writing any."""
    paths = journal_sizes(data)
    if is_remote(data.root):
        remove_objects(data.journals, [store_of(path)[1] for path in paths])
        return
    for path in paths:
        path.unlink()
