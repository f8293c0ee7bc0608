"""Data folders in object stores: which paths lie in one, and what is asked of it beyond a path.

The root of a :class:`~fsh.schemas.layout.DataFolder` may be a path of universal-pathlib's. It has a
path's methods for reading (``open``, ``stat``, ``glob`` …) and is no :class:`os.PathLike`, so that
nothing takes it for a path of this machine. Its ``fs`` is a file system of fsspec's, ``path`` what
that calls it. Such paths are made by ``fsh.defaults`` alone; this module imports neither package.

A store keeps whole objects: a write is seen as a whole or not at all, so nothing has to be renamed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fsh.schemas.errors import FshError

#: Seconds after which a store that does not answer is given up, and between two tries at most.
PATIENCE, _PAUSE = 180.0, 15.0
#: Packages whose errors are what a store, or the way to it, refused.
_PACKAGES = frozenset(
    ["adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "s3fs"]
)
_REMEDY = "check address, credentials and network, then run the same command again"
#: What another try cannot change.
_FINAL = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError)

_T = TypeVar("_T")


def cache_folder() -> Path:
    """Where on this machine things of stores lie: ``$FSH_CACHE``, or ``~/.cache/fsh/stores``."""
    named = os.environ.get("FSH_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "fsh" / "stores"


def is_remote(path: object) -> bool:
    """Whether a path lies in an object store."""
    return not isinstance(path, str | os.PathLike)


def store_of(path: Path) -> tuple[Any, str]:
    """The fsspec file system of a path in a store, and what that calls it."""
    remote: Any = path
    return remote.fs, remote.path


def persistently(work: Callable[[], _T], where: object, patience: float = PATIENCE) -> _T:
    """Do something in a store, again and again while it throttles or cannot be reached.

    Args:
        work: may be done several times.
        where: what it is about.
        patience: seconds until it is given up.

    Raises:
        FileNotFoundError, FileExistsError, PermissionError: as the store says.
        FshError: if it did not work in all that time.
    """
    until, pause = time.monotonic() + patience, 0.2
    while True:
        try:
            return work()
        except _FINAL:
            raise
        except Exception as error:
            if (refused := refused_by_store(error, where)) is None:
                raise
            if time.monotonic() + pause > until:
                raise refused from error
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE)


def refused_by_store(error: BaseException, where: object = "") -> FshError | None:
    """What a store refused, if that is what an error of its library says."""
    kinds = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if not (kinds & _PACKAGES or isinstance(error, OSError)):
        return None
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, PermissionError):
        return FshError(f"the store does not permit it ({said})", where=where, remedy=_REMEDY)
    return FshError(f"the store does not answer as it should ({said})", where=where, remedy=_REMEDY)


def file_size(path: Path) -> int | None:
    """Bytes of a file, here or in a store; None if there is none.

    Raises:
        OSError: if a file of this machine cannot be looked at.
        FshError: if the store does not answer.
    """
    try:
        if is_remote(path):
            fs, name = store_of(path)
            return int(persistently(lambda: fs.info(name), path)["size"])
        return path.stat().st_size if path.is_file() else None
    except FileNotFoundError:
        return None


def content_of(path: Path) -> bytes:
    """The whole content of a file, here or in a store.

    Raises:
        OSError: if it is not there, or a file of this machine cannot be read.
        FshError: if the store does not give it.
    """
    if not is_remote(path):
        return path.read_bytes()
    fs, name = store_of(path)
    return bytes(persistently(lambda: fs.cat_file(name), path))


def read_range(path: Path, begin: int, size: int) -> bytes:
    """Some bytes of an object.

    Raises:
        FshError: if it cannot be read.
    """
    fs, name = store_of(path)
    try:
        content = persistently(lambda: fs.cat_file(name, start=begin, end=begin + size), path)
    except OSError as error:
        raise _cannot_be_read(path, error) from error
    return bytes(content)


def file_status(path: Path) -> tuple[int, str]:
    """Size of an object, and what changes when its content does.

    Raises:
        FshError: if it cannot be read.
    """
    fs, name = store_of(path)
    try:
        info = persistently(lambda: fs.info(name), path)
    except OSError as error:
        raise _cannot_be_read(path, error) from error
    marks = (info.get(key) for key in ("ETag", "etag", "generation", "LastModified", "created"))
    version = next((str(mark) for mark in marks if mark), "")
    return int(info["size"]), version


def upload(file: Path, path: Path) -> None:
    """Make an object of a file of this machine; it takes the place of what was there at once.

    Raises:
        FshError: if the store does not take it.
    """
    fs, name = store_of(path)
    try:
        persistently(lambda: fs.put_file(str(file), name), path)
    except OSError as error:
        raise refused_by_store(error, path) or error from error


def _cannot_be_read(path: Path, error: OSError) -> FshError:
    if isinstance(error, FileNotFoundError):
        return FshError("is not there", where=path, remedy="run `fsh shard` again")
    return refused_by_store(error, path) or FshError(str(error), where=path)
