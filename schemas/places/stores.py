"""Data folders in object stores: which paths lie in one, and what is asked of it beyond a path.

The root of a :class:`~fsh.schemas.places.layout.DataFolder` may be a path of universal-pathlib's.
It has a path's methods for reading (``open``, ``stat``, ``glob`` …) and is no :class:`os.PathLike`,
so that nothing takes it for a path of this machine. Its ``fs`` is a file system of fsspec's,
``path`` what that calls it. ``fsh.data_places`` alone makes such paths; this module imports neither
package.

A store keeps whole objects: a write is seen as a whole or not at all, so nothing has to be renamed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256

#: Seconds after which a store that does not answer is given up, and between two tries at most.
PATIENCE, _PAUSE = 180.0, 15.0
#: Packages whose errors are what a store, or the way to it, refused.
_PACKAGES = frozenset(
    ["adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "s3fs"]
)
#: Bytes that are read at once where only their digest is wanted.
_BLOCK = 2**24
_REMEDY = "check address, credentials and network, then run the same command again"

_T = TypeVar("_T")


class NotAsRecorded(FshError):
    """What lies in a store, or does not, is not what is recorded of it."""


class StoreRefused(FshError):
    """A store did not do what was asked; nothing is known of what lies there."""


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


def persistently(work: Callable[[], _T], where: object, patience: float | None = None) -> _T:
    """Do something in a store, again and again while it throttles or cannot be reached.

    Args:
        work: may be done several times.
        where: what it is about.
        patience: seconds until it is given up; None: :data:`PATIENCE`.

    Raises:
        FileNotFoundError, FileExistsError: as the store says.
        StoreRefused: if it is not permitted, or did not work in all that time.
    """
    until, pause = time.monotonic() + (PATIENCE if patience is None else patience), 0.2
    while True:
        try:
            return work()
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            if (refused := refused_by_store(error, where)) is None:
                raise
            if isinstance(error, PermissionError) or time.monotonic() + pause > until:
                raise refused from error
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE)


def is_of_store(error: BaseException) -> bool:
    """Whether an error is of a library that speaks with stores."""
    return any(kind.__module__.partition(".")[0] in _PACKAGES for kind in type(error).__mro__)


def refused_by_store(error: BaseException, where: object = "") -> StoreRefused | None:
    """What a store refused, if that is what an error says: a library's own, or an OSError."""
    if not (is_of_store(error) or isinstance(error, OSError)):
        return None
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, PermissionError):
        what = f"the store does not permit it ({said})"
    else:
        what = f"the store does not answer as it should ({said})"
    return StoreRefused(what, where=where, remedy=_REMEDY)


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


def size_and_sha256(path: Path) -> tuple[int, str]:
    """Bytes and hex SHA-256 of a file, here or in a store, never much of it in memory.

    Raises: as :func:`content_of`.
    """
    if not is_remote(path):
        return path.stat().st_size, file_sha256(path)
    size = file_size(path)
    if size is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    digest = hashlib.sha256()
    for begin in range(0, size, _BLOCK):
        digest.update(read_range(path, begin, min(_BLOCK, size - begin)))
    return size, digest.hexdigest()


def read_object(path: Path) -> bytes:
    """The content of an object.

    Raises:
        FshError: if it cannot be read.
    """
    fs, name = store_of(path)
    return bytes(_there(path, partial(fs.cat_file, name)))


def read_range(path: Path, begin: int, size: int) -> bytes:
    """Some bytes of an object.

    Raises:
        FshError: if it cannot be read.
    """
    fs, name = store_of(path)
    get = partial(fs.cat_file, name, start=begin, end=begin + size)
    return bytes(_there(path, get))


def file_status(path: Path) -> tuple[int, str]:
    """Size of an object, and what changes when its content does.

    Raises:
        FshError: if it cannot be read.
    """
    fs, name = store_of(path)
    info = _there(path, partial(fs.info, name))
    marks = (info.get(key) for key in ("ETag", "etag", "generation", "LastModified", "created"))
    return int(info["size"]), next((str(mark) for mark in marks if mark), "")


def _there(path: Path, get: Callable[[], _T]) -> _T:
    try:
        return persistently(get, path)
    except FileNotFoundError:
        raise NotAsRecorded("is not there", where=path, remedy="run `fsh shard` again") from None


def sizes_of(folder: Path, files: Iterable[Path]) -> dict[Path, int]:
    """Those of some files below a folder that are there, and the bytes of each.

    In a store the folder is listed: that takes a request for a thousand objects.
    """
    if not is_remote(folder):
        return {file: size for file in files if (size := file_size(file)) is not None}
    found = listing(folder)
    return {file: found[name] for file in files if (name := store_of(file)[1]) in found}


def listing(folder: Path, *, direct: bool = False) -> dict[str, int]:
    """The names of all objects below a folder in a store, as it calls them, and their bytes.

    Args:
        direct: not those in folders below.
    """
    fs, name = store_of(folder)
    try:
        if direct:
            entries = persistently(partial(fs.ls, name, detail=True), folder)
            found = {one["name"]: one for one in entries if one["type"] == "file"}
        else:
            found = persistently(partial(fs.find, name, detail=True), folder)
    except FileNotFoundError:
        return {}
    return {one: int(info["size"]) for one, info in found.items()}


def files_below(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Every file below a folder, here or in a store, whose name ends so."""
    if not is_remote(folder):
        yield from (path for path in folder.rglob(f"*{suffix}") if path.is_file())
        return
    begin = len(store_of(folder)[1].rstrip("/")) + 1
    for name in listing(folder):
        if name.endswith(suffix):
            yield folder / name[begin:]


def remove_files(*files: Path) -> None:
    """Remove files that are there, here or in a store."""
    for file in files:
        if is_remote(file):
            remove_objects(file.parent, [store_of(file)[1]])
        else:
            file.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, here or in a store, if it is there."""
    if is_remote(folder):
        remove_objects(folder, listing(folder))
    else:
        shutil.rmtree(folder, ignore_errors=True)


def remove_objects(folder: Path, names: Iterable[str]) -> None:
    """Remove objects that :func:`listing` gave; those that are gone are none the less removed."""
    fs, _ = store_of(folder)
    some = list(names)
    for begin in range(0, len(some), 500):
        part = some[begin : begin + 500]
        with suppress(FileNotFoundError):
            persistently(partial(fs.rm, part), folder)


def write_if_absent(path: Path, content: bytes) -> bool:
    """Make an object, unless there is one already, whoever else tries at the same moment.

    Returns:
        Whether it is there now as given: made here, or with the same bytes by somebody else.

    Raises:
        StoreRefused: if the store does not take it.
    """
    fs, name = store_of(path)
    try:
        persistently(partial(fs.pipe_file, name, content, mode="create"), path)
        return True
    except FileExistsError:  # the answer to a try that worked may have been lost
        with suppress(FileNotFoundError):  # somebody has removed theirs meanwhile
            return content_of(path) == content
        return False


def write_object(path: Path, content: bytes, patience: float | None = None) -> None:
    """Make an object, or give it another content, at once.

    Raises:
        StoreRefused: if the store does not take it.
    """
    fs, name = store_of(path)
    persistently(partial(fs.pipe_file, name, content), path, patience)


def upload(file: Path, path: Path) -> None:
    """Make an object of a file of this machine; it takes the place of what was there at once.

    Raises:
        StoreRefused: if the store does not take it.
    """
    fs, name = store_of(path)
    persistently(partial(fs.put_file, str(file), name), path)
