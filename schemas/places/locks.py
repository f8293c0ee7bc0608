"""Who works in a place: locks that end with the process that holds them."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import explaining_refusals
from fsh.schemas.places.leases import leased, leased_in_turn
from fsh.schemas.places.stores import is_remote

#: Descriptors of the locks that this process holds.
_held: set[int] = set()


def _close_inherited() -> None:
    """A forked child, such as a loader's, must not go on holding what its parent held."""
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_close_inherited)


@contextmanager
def owning(
    lock: Path,
    command: str,
    *,
    where: Path,
    remedy: str,
    shared: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Hold a lock file, which says who works there and since when, and remove it at the end.

    The kernel releases it when the process dies: what a dead owner left is no obstacle. In an
    object store it is a lease (:mod:`fsh.schemas.places.leases`).

    Args:
        lock: the file; its folder is made.
        command: such as ``train``.
        where: what is worked in. remedy: what a second process can do.
        shared: other processes may hold it as well, if they say so too; the last one removes it.
        say: is told if it takes a while.

    Raises:
        FshError: if another process holds it, or the place cannot be written.
    """
    if is_remote(lock):
        with leased(lock, command, where=where, remedy=remedy, shared=shared, say=say):
            yield
        return
    with explaining_refusals(where, nothing_else=True):
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _taken(lock, command, where, remedy, shared)
    _held.add(handle)
    try:
        yield
    finally:
        if handle in _held:  # else this is a fork of the owner
            _held.discard(handle)
            with suppress(OSError):  # others hold it: it stays for them
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def taking_turns(lock: Path, *, where: Path) -> Iterator[None]:
    """Wait for a lock file that is only ever held for a moment, and hold it.

    Args:
        lock: the file, which stays. where: what is worked on.

    Raises:
        FshError: if the place cannot be written, or has no locks.
    """
    if is_remote(lock):
        with leased_in_turn(lock, "change of the table", where=where):
            yield
        return
    with explaining_refusals(where, nothing_else=True):
        handle = _opened(lock)
    try:
        with explaining_refusals(where, nothing_else=True):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _taken(lock: Path, command: str, where: Path, remedy: str, shared: bool) -> int:
    while True:
        handle = _opened(lock)
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            # Whoever held it may have removed it in between: then it guards nothing any more.
            if not _is_at(lock, handle):
                os.close(handle)
                continue
            since = datetime.now().astimezone().isoformat(" ", "seconds")
            text = f"{command} is at work here since {since} "
            text += f"(pid {os.getpid()} on {socket.gethostname()})"
            with suppress(OSError):
                os.ftruncate(handle, 0)
                os.pwrite(handle, text.encode(), 0)
            return handle
        except BlockingIOError:
            owner = os.pread(handle, 300, 0).decode(errors="replace").strip()
            os.close(handle)
            if owner.startswith(f"{command} is") or not owner:
                owner = f"another {owner or 'command is at work here'}"
            raise FshError(owner, where=where, remedy=remedy) from None
        except OSError as error:
            os.close(handle)
            raise FshError(
                f"its file system has no locks ({error.strerror})",
                where=where,
                remedy="work on another disk",
            ) from None


def _opened(lock: Path) -> int:
    flags = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(lock, os.O_RDWR | flags, 0o644)
    except PermissionError:
        if not lock.is_file():
            raise
        return os.open(lock, os.O_RDONLY | os.O_CLOEXEC)  # another user's; its lock can be asked


def _is_at(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), lock.lstat())
    except FileNotFoundError:
        return False
