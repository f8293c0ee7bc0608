"""One command at a time works in a data folder: locks that end with the process that holds them."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder


@contextmanager
def locked(data: DataFolder, command: str = "ingest") -> Iterator[None]:
    """Hold a data folder's lock for a command. The kernel releases it when the process dies.

    Args:
        command: ``ingest`` or ``shard``; the two have locks of their own.

    Raises:
        FshError: if another process holds it, or the folder cannot be written.
    """
    path = data.lock(command)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise FshError(f"cannot be written ({error.strerror})", where=data.root) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            raise FshError(
                f"another {command} is working here ({holder})",
                where=data.root,
                remedy="wait for it, or give another --data",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)
