"""How fast hosts are asked: one token bucket per host group for all workers on a machine.

The state is a small file under a lock, so the budget holds for any number of threads and processes,
and a run that was killed and started again does not begin with a fresh one.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from fsh.pipeline.ingest.failures import Failure
from fsh.schemas.urls import YOUTUBE, is_loopback

#: Videos that may start at once before the rate holds.
BURST = 5
#: So many setbacks in a row, over so many seconds, and a host is left alone for this run.
PATIENCE, LONG = 8, 3600.0
_LONGEST = 3600.0


@dataclass(frozen=True)
class Host:
    """What is remembered of a host, all on the wall clock.

    Attributes:
        next_slot: when the bucket's next token is due if none were saved up.
        blocked_until: nobody asks before.
        strikes: setbacks in a row.
        struck: when the last setback was noted.
        since: when the first of them was.
    """

    next_slot: float = 0.0
    blocked_until: float = 0.0
    strikes: int = 0
    struck: float = 0.0
    since: float = 0.0


def take(host: Host, now: float, interval: float, burst: int) -> tuple[Host, float]:
    """Take a token: the host afterwards, and when the token may be used.

    The generic cell rate algorithm: over any span t at most ``t / interval + burst`` tokens.
    """
    slot = max(now, host.next_slot - (burst - 1) * interval)
    return replace(host, next_slot=max(now, host.next_slot) + interval), slot


def strike(
    host: Host, now: float, since: float, first: float, retry_after: float | None, jitter: float
) -> Host:
    """Note a setback: the pause doubles with each in a row, times jitter (0.5 to 1.5).

    Requests under way together meet the same block: whatever began before it was noted counts once.

    Args:
        since: when the failed request began.
        first: seconds of the first pause.
        retry_after: seconds the host asked for, or None.
    """
    again = since <= host.struck
    strikes = host.strikes if again else host.strikes + 1
    pause = min(_LONGEST, first * 2 ** max(0, strikes - 1)) * jitter
    if retry_after is not None:
        pause = min(_LONGEST, retry_after) + (jitter - 0.5) * 0.1 * first
    elif again:
        pause = 0.0
    until = max(host.blocked_until, now + pause)
    first_struck = host.since if host.strikes else now
    return replace(host, blocked_until=until, strikes=strikes, struck=now, since=first_struck)


@dataclass
class Governor:
    """Grants requests to hosts.

    Attributes:
        path: the state's file; its folder exists.
        rates: host group → requests an hour. A host that is not named has ``other_rate``;
            loopback has none unless named.
        other_rate: requests an hour to each other host.
        stopped: asked while waiting; True ends the wait.
    """

    path: Path
    rates: Mapping[str, float]
    other_rate: float
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep
    stopped: Callable[[], bool] = lambda: False
    random: random.Random = field(default_factory=random.Random)

    def acquire(self, host: str) -> float:
        """Wait for this host's turn; seconds waited.

        Raises:
            Failure: if the host has been given up on, or the run was stopped.
        """
        began = self.clock()
        if not host:
            return 0.0
        while True:
            with self._state() as hosts:
                now, known = self.clock(), hosts.get(host, Host())
                if known.strikes >= PATIENCE and now - known.since >= LONG:
                    raise Failure(
                        "transient",
                        "host_gave_up",
                        f"{host} turned {known.strikes} requests in a row away: left alone for now",
                    )
                blocked = known.blocked_until
                if blocked <= now:
                    hosts[host], slot = take(known, now, self._interval(host), BURST)
            if blocked > now:
                self._wait(blocked)
                continue
            self._wait(slot)
            with self._state() as hosts:
                if hosts.get(host, Host()).blocked_until <= self.clock():
                    return self.clock() - began

    def penalize(self, host: str, since: float, retry_after: float | None = None) -> None:
        """The host asked to slow down in answer to a request that began at ``since``."""
        first = 60.0 if host == YOUTUBE else 1.0
        with self._state() as hosts:
            hosts[host] = strike(
                hosts.get(host, Host()),
                self.clock(),
                since,
                first,
                retry_after,
                self.random.uniform(0.5, 1.5),
            )

    def succeeded(self, host: str) -> None:
        """The host answered: setbacks are forgotten."""
        if not host:
            return
        with self._state() as hosts:
            if hosts.get(host, Host()).strikes:
                hosts[host] = replace(hosts[host], strikes=0)

    def forgive(self) -> None:
        """A new run begins: hosts that were given up on get another chance; budgets stay."""
        with self._state() as hosts:
            for name, host in hosts.items():
                hosts[name] = replace(host, strikes=0)

    def rate(self, host: str) -> float:
        """Requests an hour; 0: no limit."""
        if not host:
            return 0.0
        return self.rates.get(host, 0.0 if is_loopback(host) else self.other_rate)

    def _interval(self, host: str) -> float:
        rate = self.rate(host)
        return 3600.0 / rate if rate > 0 else 0.0

    def _wait(self, until: float) -> None:
        while (left := until - self.clock()) > 0:
            if self.stopped():
                raise Failure("transient", "stopped", "the run was stopped")
            self.sleep(min(left, 0.5))

    @contextmanager
    def _state(self) -> Iterator[dict[str, Host]]:
        """The hosts under the file's lock; written back if they changed."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            text = os.pread(descriptor, 2**24, 0)
            hosts = _parse(text, self.clock())
            yield hosts
            new = json.dumps({name: asdict(host) for name, host in hosts.items()}).encode()
            if new != text:
                os.pwrite(descriptor, new, 0)
                os.ftruncate(descriptor, len(new))
        finally:
            os.close(descriptor)


def _parse(text: bytes, now: float) -> dict[str, Host]:
    """The remembered hosts. A torn file is forgotten; a clock that jumped back blocks nobody."""
    try:
        hosts = {name: Host(**values) for name, values in json.loads(text or b"{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
    return {
        name: host
        if max(host.next_slot, host.blocked_until, host.struck) <= now + 24 * _LONGEST
        else Host()
        for name, host in hosts.items()
    }
