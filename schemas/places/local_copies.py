"""A bounded cache on this machine of what lies in an object store.

What maps files into memory, reads them at random or hands them to ffmpeg needs them here. A copy is
named by the content, never changed, and locked (flock) while anybody has it open: others are
removed, the one that was not used for the longest time first, when a new one would not fit. All
processes of a machine share the copies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.disk import NoRoom, explaining_refusals
from fsh.schemas.places.locks import taking_turns
from fsh.schemas.places.stores import (
    NotAsRecorded,
    cache_folder,
    file_status,
    is_remote,
    read_range,
)
from fsh.schemas.places.temporary import is_temporary, remove_abandoned, temporary_file

#: Bytes that are asked for at once, and requests at the same time.
_BLOCK, _AT_ONCE = 2**24, 4
#: Bytes of all copies, where nothing else is said; a small disk gets half of what is free.
_LIMIT = 50 * 10**9
#: End of a copy's name that does not say what is in it.
_UNNAMED = "-unnamed"


def cache_limit(folder: Path) -> int:
    """Bytes that all copies may take: ``$FSH_CACHE_GB``, or what suits the disk.

    Raises:
        FshError: if the variable is no number.
    """
    if text := os.environ.get("FSH_CACHE_GB"):
        try:
            return int(float(text) * 10**9)
        except ValueError:
            raise FshError(f"FSH_CACHE_GB is no number: {text!r}") from None
    folder.mkdir(parents=True, exist_ok=True)
    disk = os.statvfs(folder)
    own = sum(size for _, size, _ in _copies(folder))
    return min(_LIMIT, (disk.f_bavail * disk.f_frsize + own) // 2)


def opened(path: str | Path, sha256: str = "") -> BinaryIO:
    """A file, open for reading; of one in a store, a copy on this machine: ``name`` says where.

    The copy stays as long as it is open, here or where a descriptor was handed on.

    Args:
        sha256: hex, what the content must have, if it is known; a copy that is here is then used
            without asking the store.

    Raises:
        OSError: if a file of this machine cannot be opened.
        FshError: if it is not in the store, cannot be read, or has another content.
    """
    if isinstance(path, str) or not is_remote(path):
        return Path(path).open("rb")
    key = sha256 or _key_of(path)
    copy = cache_folder() / f"{key}{path.suffix}"
    with explaining_refusals(copy.parent, nothing_else=True):
        copy.parent.mkdir(parents=True, exist_ok=True)
    while True:
        if file := _held(copy):
            return file
        # One lock for all copies whose names begin alike: there are few of them for ever.
        with taking_turns(copy.with_name(f".lock-{key[:2]}"), where=copy.parent):
            if not copy.exists():
                _fetch(path, copy, sha256)


def _key_of(path: Path) -> str:
    """What a copy is called whose content is not known before: address and state say what it is."""
    return hashlib.sha256(f"{path} {file_status(path)}".encode()).hexdigest() + _UNNAMED


def remove_copies(is_unwanted: Callable[[str], bool]) -> None:
    """Remove copies by their SHA-256, and all whose SHA-256 is not known; who reads goes on.

    What dead processes left of spans and uploads goes as well.

    Args:
        is_unwanted: told a hex SHA-256.
    """
    folder = cache_folder()
    remove_abandoned(folder, folder / "spans", folder / "uploads")
    for _, _, path in _copies(folder) if folder.is_dir() else ():
        key = path.name.partition(".")[0]
        if key.endswith(_UNNAMED) or is_unwanted(key):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class ShardFiles:
    """Opens the shards of a data set in a store, each as it is in the data set's card.

    Attributes:
        paths: of the shards, by what they are called.
        sha256: hex, of each.
    """

    paths: Mapping[str, Path]
    sha256: Mapping[str, str]

    def open(self, name: str) -> BinaryIO:
        """See :func:`opened`."""
        return opened(self.paths[name], self.sha256[name])


#: Opens a shard by what it is called.
ShardOpener = Callable[[str], BinaryIO]


def _held(copy: Path) -> BinaryIO | None:
    """A copy, open and locked against removal; None if it is not there."""
    try:
        file = copy.open("rb")
    except FileNotFoundError:
        return None
    fcntl.flock(file, fcntl.LOCK_SH)
    status = os.fstat(file.fileno())
    with suppress(FileNotFoundError):
        if os.path.samestat(status, copy.stat()):
            # When it was last used; the other time says nothing, as the name says what is in it.
            os.utime(copy, (time.time(), 0))
            return file
    file.close()  # it was removed meanwhile
    return None


def _fetch(remote: Path, copy: Path, sha256: str) -> None:
    """Copy an object out of a store.

    Raises:
        FshError: if it has not the content that it should have, or there is no room for it.
    """
    size, version = file_status(remote)
    make_room(copy.parent, size)
    with temporary_file(copy) as temporary:
        handle = os.open(temporary, os.O_WRONLY)
        try:

            def get(begin: int) -> None:
                content = read_range(remote, begin, min(_BLOCK, size - begin))
                if len(content) != min(_BLOCK, size - begin):
                    raise _changed(remote)
                while content:
                    done = os.pwrite(handle, content, begin)
                    begin, content = begin + done, content[done:]

            with ThreadPoolExecutor(_AT_ONCE) as threads:
                list(threads.map(get, range(0, size, _BLOCK)))
        except OSError as error:
            raise NoRoom(copy.parent, error.strerror or "") from error
        finally:
            os.close(handle)
        whole = temporary.stat().st_size == size and file_status(remote) == (size, version)
        if not whole or (sha256 and file_sha256(temporary) != sha256):
            raise _changed(remote)
        os.utime(temporary, (time.time(), 0))
        temporary.chmod(0o644)
        temporary.replace(copy)


def _changed(remote: Path) -> NotAsRecorded:
    what = "is not what the data set says of it, or was changed while it was read"
    return NotAsRecorded(what, where=remote, remedy="run the same command again")


def make_room(folder: Path, size: int) -> None:
    """Remove copies that nobody has open until one of ``size`` bytes fits, if that can be."""
    limit = cache_limit(folder)
    copies = sorted(_copies(folder))
    total = sum(one for _, one, _ in copies)
    for _, one, path in copies:
        if total + size <= limit:
            return
        with suppress(OSError), path.open("rb") as file:  # somebody has it open, or it is gone
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            total -= one


def _copies(folder: Path) -> list[tuple[float, int, Path]]:
    """When each copy was last used, its bytes, and where it is."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file() and not is_temporary(entry.name) and entry.name[0] != ".":
                    status = entry.stat()
                    found.append((status.st_atime, status.st_size, Path(entry.path)))
    return found
