"""What a disk, a path or a permission refused, as the one error a user sees."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from fsh.schemas.errors import FshError
from fsh.schemas.text import sentence

_FULL = "make room there, or choose another place; then run the same command again"
_READ_ONLY = "choose a place that can be written"
_RIGHTS = "check who may read and write there, or choose another place"
#: errno to what it means and what to do about it.
_MEANINGS = {
    errno.ENOENT: ("no such file or folder", "check the path"),
    errno.ENOTDIR: ("there is a file where a folder is expected", "check the path"),
    errno.EISDIR: ("there is a folder where a file is expected", "give the path of a file"),
    errno.EEXIST: ("something of this name is there already", "remove it, or choose another name"),
    errno.ENOTEMPTY: ("the folder is not empty", "choose another place"),
    errno.EACCES: ("not permitted", _RIGHTS),
    errno.EPERM: ("not permitted", _RIGHTS),
    errno.EROFS: ("cannot be written", _READ_ONLY),
    errno.ENOSPC: ("cannot be written", _FULL),
    errno.EDQUOT: ("cannot be written", _FULL),
    errno.EFBIG: ("cannot be written", _FULL),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ELOOP: ("links that lead in a circle", "remove them, or name the file itself"),
    errno.EIO: ("the disk does not answer", "check the disk, then run the same command again"),
    errno.EBUSY: ("in use", "try again when nobody uses it"),
    errno.ETXTBSY: ("in use", "try again when nobody uses it"),
    errno.EXDEV: ("on another disk", "choose a place on the same disk"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open", "close other programs"),
    errno.ENOMEM: ("not enough memory", "use fewer workers or smaller settings"),
    errno.ENXIO: ("nothing that can be read or written", "give the path of a file"),
    errno.ENODEV: ("nothing that can be read or written", "give the path of a file"),
    errno.EINVAL: ("cannot be used", "check the path and the disk"),
}
#: How libraries that are not written in Python put an errno into words.
_NUMBER = re.compile(r"\(os error (\d+)\)|\[?Errno (\d+)\]?")


def file_error(error: OSError, where: object = "") -> FshError:
    """An :class:`OSError` as an error that says what, where and what to do.

    Args:
        where: what it is about, if the error itself does not name a file.
    """
    name = os.fsdecode(error.filename) if _is_path(error.filename) else ""
    reason = sentence(error.strerror or str(error) or type(error).__name__)
    meaning = _MEANINGS.get(error.errno or 0)
    if meaning is None:
        return FshError(f"cannot be used ({reason})", where=name or where)
    what, remedy = meaning
    known = what.lower() == reason.lower()
    return FshError(what if known else f"{what} ({reason})", where=name or where, remedy=remedy)


def refused_by_system(error: BaseException) -> FshError | None:
    """What the system refused, if that is why ``error`` was raised: it, a cause, or in words."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and (seen.errno or seen.filename):
            return file_error(seen)
        if (found := _NUMBER.search(str(seen))) and (code := int(found[1] or found[2])):
            return file_error(OSError(code, os.strerror(code)))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    if isinstance(error, OSError):
        return file_error(error)
    return None


@contextmanager
def naming(path: object) -> Iterator[None]:
    """Whatever the system refuses inside is about ``path``.

    An error that names a file elsewhere keeps it; one about a temporary file beside ``path`` does
    not, because nobody but fsh knows that.
    """
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename) if _is_path(error.filename) else ""
        if error.errno and (not name or name.endswith(".tmp")):
            error.filename, error.filename2 = str(path), None
        raise


def _is_path(name: object) -> bool:
    return isinstance(name, str | bytes | os.PathLike) and bool(name)
