"""Files and folders that have not got their names yet, and what dead processes left of them.

Everything is written beside its place under a name that says who writes it,
``.NAME-fsh-PID-HOST-TOKEN.tmp``, is locked (flock) as long as it is written, and then renamed. What
a killed process leaves is removed by the next one that writes there (:func:`remove_abandoned`).
What needs no place of its own lies in the system's folder for such things, and is treated alike
(:func:`scratch_folder`).
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fsh.schemas.places.disk import explaining_refusals
from fsh.schemas.places.stores import cache_folder, is_remote, upload

_NAME = re.compile(
    r"\.(?P<name>.*)-fsh-(?P<pid>\d+)-(?P<host>[0-9a-f]{8})-[0-9a-f]{8}"
    r"\.(?P<end>tmp|old|unsigned(\.\w+)?)",
    re.DOTALL,
)
#: What :func:`replacing` calls a file that has not got its name yet.
TEMPORARY = ".*.tmp"
#: Bytes of a file's own name in the name of its temporary file; a name has 255 at most.
_LONGEST = 200
#: Seconds after which what another machine left counts as abandoned, if nobody holds its lock.
_FOREIGN_AGE = 86_400.0


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that this module gives."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes ``path``'s name at once.

    A kill at any moment leaves either the old file or the new one, never half a file under the
    final name. The temporary name fits :data:`TEMPORARY`.

    A file for an object store is made on this machine, and uploaded whole.

    Raises:
        FshError: if the place cannot be written, or the disk is full.
    """
    if is_remote(path):
        with temporary_file(cache_folder() / "uploads" / path.name) as temporary:
            with explaining_refusals(temporary.parent):
                yield temporary
            upload(temporary, path)
        return
    with temporary_file(path) as temporary:
        with explaining_refusals(path):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        with explaining_refusals(path, nothing_else=True):
            temporary.chmod(0o644)
            temporary.replace(path)


@contextmanager
def temporary_file(path: Path, end: str = ".tmp") -> Iterator[Path]:
    """An empty file beside ``path``, of this process alone; removed at the end if it is there.

    Args:
        end: ``.tmp``, or ``.unsigned`` and a suffix.

    Raises:
        FshError: if the place cannot be written.
    """
    with explaining_refusals(path, nothing_else=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        temporary = _own_name(path.parent, path.stem, end)
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _lock(handle)
        yield temporary
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path, check: Callable[[], object]) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``; on success it takes ``folder``'s name.

    What was there before is moved aside first and removed last: a kill at any moment leaves the
    old folder or the new one, whole, and :func:`remove_abandoned` gives the old one its name back.
    A link to a folder stays a link, and the folder is replaced.

    Args:
        check: called before the names change; raises if what is there must stay.

    Raises:
        FshError: if the place cannot be written, or the disk is full.
    """
    folder = folder.resolve()
    with temporary_folder(folder) as temporary:
        with explaining_refusals(folder):
            yield temporary
            for path in temporary.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        check()
        with explaining_refusals(folder, nothing_else=True):
            temporary.chmod(0o755)
            _take_name(temporary, folder)


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside ``folder``, of this user alone; removed at the end if it is there.

    Raises:
        FshError: if the place cannot be written.
    """
    with explaining_refusals(folder, nothing_else=True):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        temporary = _own_name(folder.parent, folder.name, ".tmp")
        temporary.mkdir(0o700)
        handle = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _lock(handle)
        yield temporary
    finally:
        os.close(handle)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch_folder(what: str = "work") -> Iterator[Path]:
    """An empty folder of this user's alone, in the system's temporary folder, removed at the end.

    Raises:
        FshError: if there is no room, or no right to write there.
    """
    try:
        with temporary_folder(Path(tempfile.gettempdir(), what)) as folder:
            yield folder
    finally:
        # Again: what a killed one held may have been locked, when this one began, by its child.
        remove_scratch()


def lasting_scratch_folder(what: str = "work") -> Path:
    """:func:`scratch_folder` for as long as this process lives.

    If it is killed, whoever started it or comes next removes it (:func:`remove_scratch`).
    """
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(scratch_folder(what))


def remove_scratch() -> None:
    """Remove what dead processes left in the system's temporary folder."""
    remove_abandoned(Path(tempfile.gettempdir()))


#: Folders that this process has swept.
_swept: set[Path] = set()


def _sweep(folder: Path) -> None:
    """Remove what dead processes left in a folder, when this one first writes there."""
    if folder not in _swept:
        _swept.add(folder)
        remove_abandoned(folder)


def remove_abandoned(*folders: Path) -> None:
    """Remove what processes that are no more left in these folders, not in folders below.

    A folder that was moved aside and has no successor gets its name back.
    """
    for folder in folders:
        with suppress(OSError):
            for path in list(folder.iterdir()):
                match = _NAME.fullmatch(path.name)
                if match and _is_abandoned(path, int(match["pid"]), match["host"]):
                    _remove(path, folder / match["name"] if match["end"] == "old" else None)


def _remove(path: Path, successor: Path | None) -> None:
    with suppress(OSError):
        if successor is not None and not os.path.lexists(successor):
            path.rename(successor)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _take_name(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        temporary.rename(folder)
        return
    old = _own_name(folder.parent, folder.name, ".old")
    folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _own_name(parent: Path, name: str, end: str) -> Path:
    """A name that no other process uses."""
    short = os.fsdecode(os.fsencode(name)[:_LONGEST])
    return parent / f".{short}-fsh-{os.getpid()}-{_host()}-{secrets.token_hex(4)}{end}"


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _lock(handle: int) -> None:
    with suppress(OSError):  # a file system without locks: the process's id says who writes
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_abandoned(path: Path, pid: int, host: str) -> bool:
    """Whether its maker is dead: no such process, or a younger one, and nobody holds the lock."""
    try:
        age = time.time() - path.lstat().st_mtime
        if host != _host():
            if age < _FOREIGN_AGE:
                return False
        elif _is_running(pid, age):
            return False
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: ages are not enough, because clocks jump
        return host != _host() or not _is_there(pid)
    finally:
        os.close(handle)
    return True


def _is_there(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, or no number of a process
        pass
    return True


def _is_running(pid: int, age: float) -> bool:
    """Whether the process lives, and is not a younger one that got the same number.

    Args:
        age: seconds since the file was last written.
    """
    if not _is_there(pid):
        return False
    if pid == os.getpid():
        return True
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return True
    return uptime - ticks / os.sysconf("SC_CLK_TCK") > age - 2
