"""What the system refuses, in one line: no room, no permission, no such place, a damaged disk."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.places.stores import is_of_store, refused_by_store
from fsh.schemas.text import sentence

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
#: How libraries that hide the number of an error (safetensors, c2pa, NumPy) tell of a full disk.
_NO_ROOM_WORDS = (
    "no space left on device",
    "no room left on the disk",
    "disk quota exceeded",
    "os error 28)",
    "os error 122)",
    "requested and 0 written",
)
#: How libraries that are not written in Python put an errno into words.
_NUMBER = re.compile(r"\(os error (\d+)\)|\[?Errno (\d+)\]?")
_RIGHTS = "check who may read and write there, or choose another place"
#: errno to what it means and what to do about it.
_MEANINGS = {
    errno.ENOENT: ("no such file or folder", "check the path"),
    errno.ENOTDIR: ("there is a file where a folder is expected", "check the path"),
    errno.EISDIR: ("there is a folder where a file is expected", "give the path of a file"),
    errno.EEXIST: (
        "something of this name is there already",
        "choose another name, or move it away",
    ),
    errno.ENOTEMPTY: ("the folder is not empty", "choose another place"),
    errno.EACCES: ("not permitted", _RIGHTS),
    errno.EPERM: ("not permitted", _RIGHTS),
    errno.EROFS: ("cannot be written", "choose a place that can be written"),
    errno.EFBIG: ("cannot be written", "choose a disk that takes larger files"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ELOOP: ("links that lead in a circle", "name the file itself"),
    errno.EIO: ("the disk does not answer", "check the disk, then run the same command again"),
    errno.EBUSY: ("in use", "try again when nobody uses it"),
    errno.ETXTBSY: ("in use", "try again when nobody uses it"),
    errno.EXDEV: ("on another disk", "choose a place on the same disk"),
    errno.ENOLCK: ("its file system has no locks", "work on another disk"),
    errno.ENOSYS: ("its file system cannot do this", "work on another disk"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open", "close other programs"),
    errno.ENOMEM: ("not enough memory", "use fewer workers or smaller settings"),
    errno.ENXIO: ("nothing that can be read or written", "give the path of a file"),
    errno.ENODEV: ("nothing that can be read or written", "give the path of a file"),
    errno.EINVAL: ("cannot be used", "check the path and the disk"),
}


class NoRoom(FshError):
    """The disk is full, or the user's share of it.

    Args:
        why: in the system's words, if it said anything.
    """

    def __init__(self, where: object, why: str = "") -> None:
        self._why, free = why, _free_bytes(Path(str(where)))
        known = ", ".join(filter(None, [why, "" if free is None else f"{_size(free)} free"]))
        super().__init__(
            f"no room left on the disk for this{f' ({known})' if known else ''}",
            where=where,
            remedy="make room and run the same command again",
        )

    def __reduce__(self):
        return NoRoom, (self.where, self._why)


class CannotBeWritten(FshError):
    """A place was looked at, and cannot be written.

    Args:
        why: in a few words.
    """

    def __init__(self, where: object, why: str) -> None:
        self._why = why
        super().__init__(f"cannot be written ({why})", where=where, remedy="name another place")

    def __reduce__(self):
        return CannotBeWritten, (self.where, self._why)


def file_error(error: OSError, where: object = "") -> FshError:
    """An :class:`OSError` as an error that says what, where and what to do.

    Args:
        where: what it is about, if the error names no file, or a temporary one of fsh's.
    """
    name = os.fsdecode(error.filename) if _is_path(error.filename) else ""
    if where and name.endswith(".tmp"):
        name = ""
    reason = sentence(error.strerror or str(error) or type(error).__name__)
    if error.errno in _NO_ROOM:
        return NoRoom(name or where, reason)
    meaning = _MEANINGS.get(error.errno or 0)
    if meaning is None:
        return FshError(f"cannot be used ({reason})", where=name or where)
    what, remedy = meaning
    known = what.lower() == reason.lower()
    return FshError(what if known else f"{what} ({reason})", where=name or where, remedy=remedy)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that there is no room left."""
    return isinstance(refused_by_system(error), NoRoom)


def refused_by_system(error: BaseException, where: object = "") -> FshError | None:
    """What the system refused, if that is why ``error`` was raised: it, a cause, or in words.

    Args:
        where: what it is about, if no error names a file.
    """
    for one in _causes(error):
        if isinstance(one, NoRoom):
            return one
        if is_of_store(one):
            return refused_by_store(one, where)
        if isinstance(one, OSError) and (one.errno or one.filename):
            return file_error(one, where)
        if any(word in str(one).lower() for word in _NO_ROOM_WORDS):
            return NoRoom(where)
        if (found := _NUMBER.search(str(one))) and (code := int(found[1] or found[2])):
            return file_error(OSError(code, os.strerror(code)), where)
    return file_error(error, where) if isinstance(error, OSError) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came from, and so on."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


@contextmanager
def explaining_refusals(where: object, *, nothing_else: bool = False) -> Iterator[None]:
    """Turn what the system refuses, and whatever a library makes of that, into one line.

    Args:
        where: what is written; an error that names another file is told of that one.
        nothing_else: the block touches no other place: errors are about ``where``, whatever file
            they name, such as a lock or a folder above.

    Raises:
        FshError: if anything is refused; :class:`NoRoom` if the disk is full.
    """
    try:
        yield
    except (FshError, BrokenPipeError):
        raise
    except Exception as error:
        if nothing_else and isinstance(error, OSError) and error.errno in _MEANINGS:
            raise CannotBeWritten(where, error.strerror or "refused") from error
        if _is_of_network(error) or (refused := refused_by_system(error, where)) is None:
            raise
        raise refused from error


def _is_of_network(error: BaseException) -> bool:
    """Whether the first thing that was refused is none that a disk refuses."""
    refused = next((one for one in _causes(error) if isinstance(one, OSError)), None)
    return refused is not None and refused.errno not in (*_NO_ROOM, *_MEANINGS)


def _is_path(name: object) -> bool:
    return isinstance(name, str | bytes | os.PathLike) and bool(name)


def _free_bytes(place: Path) -> int | None:
    for folder in (place, *place.absolute().parents):
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            continue
    return None


def _size(count: int) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:.3g} GB"
