"""Locks in an object store: an object that says who works there, and until when.

A store knows no processes, so a lock is a lease: its holder says anew, four times in its length,
that it still works. When it has not done so, the next one takes over. Every lease has a number
(:mod:`fsh.schemas.places.numbered`): who makes the next one has the lock.

Clocks of machines differ, and jump. So nobody takes over because of what a clock says: a lease that
looks as if it were over is watched, as long as a lease lasts by a clock that only counts, and it is
held if it changes meanwhile. That a lease looks current is believed: it only ever refuses.
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
from collections.abc import Callable, Iterator
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
#: What this process holds, or is about to: :attr:`Lease.holding`.
_OURS: set[str] = set()


class Held(FshError):
    """Somebody else is at work."""


@dataclass(frozen=True)
class Lease:
    """What a lease's object says.

    Attributes:
        owner: who works, since when, for people.
        until: seconds since 1970, by the holder's clock; 0: it was given back.
        host, pid: of the holder. token: of this sign of life alone.
        holding: the same in all signs of life of one holding.
    """

    owner: str
    until: float
    host: str
    pid: int
    token: str
    holding: str = ""

    @classmethod
    def new(cls, command: str) -> Lease:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        pid, until = os.getpid(), time.time() + LENGTH
        owner = f"{command} is at work here since {since} (pid {pid} on {socket.gethostname()})"
        return cls(owner, until, _host(), pid, secrets.token_hex(8), secrets.token_hex(8))

    def renewed(self) -> Lease:
        """Its holder's next sign of life, which differs from the last one whatever clocks say."""
        return replace(self, until=time.time() + LENGTH, token=secrets.token_hex(8))

    @property
    def is_over(self) -> bool:
        """Whether it was given back, or its holder is known to have died."""
        return not self.until or self._is_dead()

    @property
    def looks_current(self) -> bool:
        """Whether it ends when one would that is held and whose holder has this clock's time."""
        return 0 < self.until - time.time() <= LENGTH

    def _is_dead(self) -> bool:
        """Whether the holder is known to have died: it was a process of this machine.

        Or it was this process, which could not give it back because the store did not answer.
        """
        if self.host != _host():
            return False
        if self.pid == os.getpid():
            return self.holding not in _OURS
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's
            pass
        return False

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def _host() -> str:
    """Where a number means one process and no other: not in another container, nor after a boot."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # not Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


@contextmanager
def leased(
    lock: Path,
    command: str,
    *,
    where: Path,
    remedy: str,
    shared: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Hold a lease; arguments as of :func:`fsh.schemas.places.locks.owning`.

    Takes a minute where a holder has gone without a word.

    Raises:
        Held: if somebody else does.
        FshError: if the store has no writes on a condition.
    """
    chain = re.sub(r"\W+", "-", command).strip("-") if shared else _WHOLE
    number, lease = _taken(lock, chain, command, where, remedy, say)
    place = version_of(_path(lock, chain), number)
    ended = threading.Event()
    renewal = threading.Thread(
        target=_renew, args=(lock, chain, number, lease, ended), daemon=True, name="lease"
    )
    renewal.start()
    try:
        # Written first, looked second: of two that exclude one another at least one sees the other.
        for other in _chains(lock) - {chain}:
            if shared and other != _WHOLE:
                continue
            if held := _held(lock, other, say)[1]:
                raise _refusal(held, command, where, remedy)
        yield
    finally:
        ended.set()
        renewal.join()
        try:
            with suppress(StoreRefused):  # then it ends by itself
                write_object(place, replace(lease, until=0).to_bytes(), patience=_RENEWAL)
        finally:
            _OURS.discard(lease.holding)


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


def _taken(
    lock: Path, chain: str, command: str, where: Path, remedy: str, say: Callable[[str], None]
) -> tuple[int, Lease]:
    while True:
        number, held = _held(lock, chain, say)
        if held:
            raise _refusal(held, command, where, remedy)
        lease, path = Lease.new(command), _path(lock, chain)
        _OURS.add(lease.holding)
        with ExitStack() as failed:
            failed.callback(_OURS.discard, lease.holding)
            if not make_next(path, number, lease.to_bytes()):
                continue  # somebody else was first
            if write_if_absent(version_of(path, number + 1), replace(lease, token="").to_bytes()):
                raise FshError(
                    "this store has no writes on a condition (If-None-Match), which locks need",
                    where=where,
                    remedy="use another store, or work on a folder and copy it",
                )
            failed.pop_all()
            return number + 1, lease


def _held(lock: Path, chain: str, say: Callable[[str], None]) -> tuple[int, Lease | None]:
    """The number of a chain's latest lease, and the lease if its holder may be at work."""
    seen = number, lease = _latest(lock, chain)
    if lease is None or lease.is_over:
        return number, None
    if lease.looks_current:
        return seen
    say(f"{lease.owner}, if it lives: watching for a sign of it, for {LENGTH:.0f} s")
    until = time.monotonic() + LENGTH
    while (now := _latest(lock, chain)) == seen:
        if time.monotonic() > until:
            return number, None
        time.sleep(LENGTH / 24)
    return now if now[1] and not now[1].is_over else (now[0], None)


def _renew(lock: Path, chain: str, number: int, lease: Lease, ended: threading.Event) -> None:
    """Say again and again that the holder works, until it ends or somebody has taken over."""
    while not ended.wait(_RENEWAL):
        with suppress(StoreRefused):  # perhaps the next time
            if _latest(lock, chain)[0] != number:
                return
            lease = lease.renewed()
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
