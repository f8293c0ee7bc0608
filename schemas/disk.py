"""What a disk refuses, in one line: no room, no permission, a place that is no folder."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsh.schemas.errors import FshError

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
#: What a place itself refuses, whoever asks.
_REFUSALS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
    *(errno.ELOOP, errno.EFBIG, errno.ENOENT, errno.EEXIST, errno.EIO, errno.EBUSY),
)


class NoRoom(FshError):
    """The disk is full, or the user's share of it."""

    def __init__(self, where: object) -> None:
        free = _free_bytes(Path(str(where)))
        left = "" if free is None else f" ({_size(free)} free)"
        super().__init__(
            f"no room left on the disk for this{left}",
            where=where,
            remedy="make room and run the same command again",
        )

    def __reduce__(self):
        return NoRoom, (self.where,)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that there is no room left."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, NoRoom) or getattr(error, "errno", None) in _NO_ROOM:
            return True
        if any(word in str(error).lower() for word in _NO_ROOM_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def explaining_full_disk(where: Path) -> Iterator[None]:
    """Turn whatever a library makes of a full disk into :class:`NoRoom`.

    Args:
        where: what is written; an error that names another file is told of that one.
    """
    try:
        yield
    except NoRoom:
        raise
    except Exception as error:
        if not is_disk_full(error):
            raise
        named = getattr(error, "filename", None)
        raise NoRoom(os.fsdecode(named) if isinstance(named, str | bytes) else where) from error


@contextmanager
def explaining_refusals(where: Path) -> Iterator[None]:
    """Turn what a place refuses into one line; only for blocks that touch no other place."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise NoRoom(where) from error
        if error.errno not in _REFUSALS:
            raise
        raise cannot_be_written(where, error.strerror or "refused") from error


def cannot_be_written(where: Path, why: str) -> FshError:
    """What is said of a place that cannot be written."""
    return FshError(f"cannot be written ({why})", where=where, remedy="name another place")


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
