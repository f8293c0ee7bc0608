"""Locks in an object store: an object that says who works there, and until when.

A store knows no processes, so a lock is a lease: its holder says anew, four times in its length,
that it still works. When it has not done so, the next one takes over. Every lease has a number
(:mod:`fsh.schemas.places.numbered`): who makes the next one has the lock.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.places.numbered import latest_of, make_next, version_of
from fsh.schemas.places.stores import (
    StoreRefused,
    listing,
    store_of,
    write_if_absent,
    write_object,
)

#: Seconds that a lease lasts, and between two of its holder's signs of life.
LENGTH, _RENEWAL = 60.0, 15.0
#: The one that holds everything; others are of a part each.
_WHOLE = "whole"


class Held(FshError):
    """Somebody else is at work."""


@dataclass(frozen=True)
class Lease:
    """What a lease's object says.

    Attributes:
        owner: who works, since when, for people.
        until: seconds since 1970; 0: it was given back.
        host, pid: of the holder. token: of this lease alone.
    """

    owner: str
    until: float
    host: str
    pid: int
    token: str

    @classmethod
    def new(cls, command: str) -> Lease:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        host, pid = socket.gethostname(), os.getpid()
        owner = f"{command} is at work here since {since} (pid {pid} on {host})"
        return cls(owner, time.time() + LENGTH, host, pid, secrets.token_hex(8))

    @property
    def holds(self) -> bool:
        """Whether its holder may be at work."""
        return self.until > time.time() and not self._is_dead()

    def _is_dead(self) -> bool:
        """Whether the holder is known to have died: it was a process of this machine."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's
            pass
        return False

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@contextmanager
def leased(
    lock: Path, command: str, *, where: Path, remedy: str, shared: bool = False
) -> Iterator[None]:
    """Hold a lease; arguments as of :func:`fsh.schemas.places.locks.owning`.

    Raises:
        Held: if somebody else does.
        FshError: if the store has no writes on a condition.
    """
    chain = re.sub(r"\W+", "-", command).strip("-") if shared else _WHOLE
    number, lease = _taken(lock, chain, command, where, remedy)
    place = version_of(_path(lock, chain), number)
    ended = threading.Event()
    renewal = threading.Thread(
        target=_renew, args=(lock, chain, number, lease, ended), daemon=True, name="lease"
    )
    try:
        # Written first, looked second: of two that exclude one another at least one sees the other.
        for other in _chains(lock) - {chain}:
            if (shared and other != _WHOLE) or not (held := _latest(lock, other)[1]):
                continue
            if held.holds:
                raise _refusal(held, command, where, remedy)
        renewal.start()
        yield
    finally:
        ended.set()
        if renewal.ident:
            renewal.join()
        with suppress(StoreRefused):  # then it ends by itself
            write_object(place, replace(lease, until=0).to_bytes(), patience=_RENEWAL)


@contextmanager
def leased_in_turn(lock: Path, command: str, *, where: Path) -> Iterator[None]:
    """Wait for a lease that is only ever held for a moment, and hold it.

    Raises:
        Held: if that does not happen in the time of three leases.
        FshError: if the store has no writes on a condition.
    """
    until = time.monotonic() + 3 * LENGTH
    with ExitStack() as stack:
        while True:
            try:
                again = "run the same command again"
                stack.enter_context(leased(lock, command, where=where, remedy=again))
                break
            except Held:
                if time.monotonic() > until:
                    raise
                time.sleep(random.uniform(0.2, 0.6))
        yield


def _taken(lock: Path, chain: str, command: str, where: Path, remedy: str) -> tuple[int, Lease]:
    while True:
        number, held = _latest(lock, chain)
        if held and held.holds:
            raise _refusal(held, command, where, remedy)
        lease, path = Lease.new(command), _path(lock, chain)
        if not make_next(path, number, lease.to_bytes()):
            continue  # somebody else was first
        if write_if_absent(version_of(path, number + 1), replace(lease, token="").to_bytes()):
            raise FshError(
                "this store has no writes on a condition (If-None-Match), which locks need",
                where=where,
                remedy="use another store, or work on a folder and copy it",
            )
        return number + 1, lease


def _renew(lock: Path, chain: str, number: int, lease: Lease, ended: threading.Event) -> None:
    """Say again and again that the holder works, until it ends or somebody has taken over."""
    while not ended.wait(_RENEWAL):
        with suppress(StoreRefused):  # perhaps the next time
            if _latest(lock, chain)[0] != number:
                return
            lease = replace(lease, until=time.time() + LENGTH)
            write_object(version_of(_path(lock, chain), number), lease.to_bytes())


def _refusal(held: Lease, command: str, where: Path, remedy: str) -> Held:
    same = held.owner.startswith(f"{command} is")
    what = f"another {held.owner}" if same else held.owner
    return Held(what, where=where, remedy=remedy)


def _path(lock: Path, chain: str) -> Path:
    return lock.with_name(f"{lock.name}.{chain}")


def _chains(lock: Path) -> set[str]:
    pattern = re.compile(re.escape(f"{store_of(lock)[1]}.") + r"([^./]+)\.\d+")
    names = listing(lock.parent, direct=True)
    return {match[1] for one in names if (match := pattern.fullmatch(one))}


def _latest(lock: Path, chain: str) -> tuple[int, Lease | None]:
    """The number of a chain's latest lease, 0 if there is none, and what it says."""
    number, content = latest_of(_path(lock, chain))
    try:
        return number, Lease(**json.loads(content)) if content else None
    except (ValueError, TypeError):  # none of fsh's
        return number, None
