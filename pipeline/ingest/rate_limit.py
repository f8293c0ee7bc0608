"""How often hosts are asked: one token bucket per host group for all workers of a data folder.

The state is a small file under a lock, in a store a numbered object: the rate holds for all threads
and machines that share the folder, and a run that is started again begins with no full bucket.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import secrets
import time
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from fsh.pipeline.ingest.failures import Failure, run_stopped
from fsh.schemas.places.numbered import latest_of, make_next, remove_versions, version_of
from fsh.schemas.places.stores import content_of, file_size, is_remote
from fsh.schemas.places.temporary import replacing
from fsh.schemas.plain import from_plain
from fsh.schemas.tables.records import ErrorClass
from fsh.schemas.urls import YOUTUBE, is_loopback

#: Requests that may start at once before the rate holds.
BURST = 5
#: A host is not asked again in this run after so many strikes in a row, over so many seconds.
MAX_STRIKES, MIN_STRIKE_SECONDS = 8, 3600.0
#: Seconds of the longest pause.
_LONGEST_PAUSE = 3600.0
#: Versions of the state in a store that stay: more than are made while one looks.
_VERSIONS = 50

_T = TypeVar("_T")


@dataclass(frozen=True)
class HostState:
    """What is remembered of a host. Times are seconds on the wall clock.

    A strike is an answer that asks to be asked less often.

    Attributes:
        next_slot: when the bucket's next token is due if none were saved up.
        blocked_until: no request is made before.
        strikes: in a row.
        struck: when the last of them was noted.
        since: when the first of them was.
    """

    next_slot: float = 0.0
    blocked_until: float = 0.0
    strikes: int = 0
    struck: float = 0.0
    since: float = 0.0


#: What is remembered of each.
Hosts = dict[str, HostState]


def take_token(host: HostState, now: float, interval: float, burst: int) -> tuple[HostState, float]:
    """Take a token: the host afterwards, and when the token may be used.

    The generic cell rate algorithm (ITU-T I.371): over any span t at most ``t / interval + burst``
    tokens.

    Args:
        interval: seconds between two tokens.
        burst: tokens that can be saved up.
    """
    slot = max(now, host.next_slot - (burst - 1) * interval)
    return replace(host, next_slot=max(now, host.next_slot) + interval), slot


def note_strike(
    host: HostState,
    now: float,
    asked: float,
    first: float,
    retry_after: float | None,
    jitter: float,
) -> HostState:
    """Note a strike: the pause doubles with each in a row (exponential back-off).

    Requests that were under way together meet the same limit: those that began before a strike was
    noted count as one with it.

    Args:
        asked: when the request began.
        first: seconds of the first pause.
        retry_after: seconds that the host asked to wait, or None.
        jitter: factor of the pause, 0.5 to 1.5.
    """
    again = asked <= host.struck
    strikes = host.strikes if again else host.strikes + 1
    pause = min(_LONGEST_PAUSE, first * 2 ** max(0, strikes - 1)) * jitter
    if retry_after is not None:
        pause = min(_LONGEST_PAUSE, retry_after) + (jitter - 0.5) * 0.1 * first
    elif again:
        pause = 0.0
    until = max(host.blocked_until, now + pause)
    first_struck = host.since if host.strikes else now
    return replace(host, blocked_until=until, strikes=strikes, struck=now, since=first_struck)


@dataclass
class RateLimiter:
    """Grants requests to hosts.

    Attributes:
        path: the state's file; its folder exists.
        rates: host group → requests an hour. A host that is not named has ``other_rate``;
            loopback has none unless named.
        other_rate: requests an hour to each other host.
        clock: seconds, the same for all who share the file.
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
        """Wait until this host may be asked; seconds waited.

        Raises:
            Failure: if the host is not asked any more in this run, or the run was stopped.
        """
        began = self.clock()
        if not host:
            return 0.0
        while True:
            blocked, slot = self._change(partial(self._take, host))
            if blocked:
                self._wait(blocked)
                continue
            self._wait(slot)
            if self._change(lambda hosts: _state_of(hosts, host).blocked_until) <= self.clock():
                return self.clock() - began

    def _take(self, host: str, hosts: Hosts) -> tuple[float, float]:
        """Until when the host is blocked, if it is; else when the token may be used."""
        now, known = self.clock(), _state_of(hosts, host)
        if known.strikes >= MAX_STRIKES and now - known.since >= MIN_STRIKE_SECONDS:
            raise Failure(
                ErrorClass.TRANSIENT,
                "host_gave_up",
                f"{host} turned {known.strikes} requests in a row away: "
                "not asked again in this run",
            )
        if known.blocked_until > now:
            return known.blocked_until, 0.0
        hosts[host], slot = take_token(known, now, self._interval(host), BURST)
        return 0.0, slot

    def penalize(self, host: str, asked: float, retry_after: float | None = None) -> None:
        """The host asked to slow down in answer to a request that began at ``asked``."""
        first, jitter = 60.0 if host == YOUTUBE else 1.0, self.random.uniform(0.5, 1.5)

        def strike(hosts: Hosts) -> None:
            known, now = _state_of(hosts, host), self.clock()
            hosts[host] = note_strike(known, now, asked, first, retry_after, jitter)

        self._change(strike)

    def succeeded(self, host: str) -> None:
        """The host answered: its strikes are forgotten."""

        def forget(hosts: Hosts) -> None:
            if _state_of(hosts, host).strikes:
                hosts[host] = replace(hosts[host], strikes=0)

        if host:
            self._change(forget)

    def forget_strikes(self, older: float = 0.0) -> None:
        """A new run begins: every host may be asked again; what was taken of the rates stays.

        Args:
            older: seconds; only strikes that old are forgotten, because others may be at work.
        """

        def forget(hosts: Hosts) -> None:
            for name, host in hosts.items():
                if self.clock() - host.struck >= older:
                    hosts[name] = replace(host, strikes=0)

        self._change(forget)

    def rate(self, host: str) -> float:
        """Requests an hour; 0: no limit."""
        if not host:
            return 0.0
        return self.rates.get(host, 0.0 if is_loopback(host) else self.other_rate)

    def _interval(self, host: str) -> float:
        rate = self.rate(host)
        return 3600.0 / rate if rate > 0 else 0.0

    def _wait(self, until: float) -> None:
        """Wait until the clock says so; no longer for it if it is set back meanwhile."""
        left = until - self.clock()
        while left > 0:
            if self.stopped():
                raise run_stopped()
            pause = min(left, 0.5)
            self.sleep(pause)
            left = min(left - pause, until - self.clock())

    def _change(self, work: Callable[[Hosts], _T]) -> _T:
        """Do something with the hosts, which nobody else does meanwhile, and keep what it changes.

        Args:
            work: may be done several times, each time with the hosts as they are then.
        """
        if is_remote(self.path):
            return self._change_in_store(work)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            text = os.pread(descriptor, 2**24, 0)
            hosts = _parse(text, self.clock())
            result = work(hosts)
            if (new := _to_bytes(hosts)) != text:
                os.pwrite(descriptor, new, 0)
                os.ftruncate(descriptor, len(new))
            return result
        finally:
            os.close(descriptor)

    def _change_in_store(self, work: Callable[[Hosts], _T]) -> _T:
        while True:
            number, text = latest_of(self.path)
            if number and text is None:
                continue  # somebody was faster
            if not number and file_size(self.path) is not None:  # a folder was copied here
                text = content_of(self.path)
            hosts = _parse(text or b"", self.clock())
            before = dict(hosts)
            result = work(hosts)
            if hosts == before or make_next(self.path, number, _own_bytes(hosts), keep=_VERSIONS):
                return result
            self.sleep(self.random.uniform(0.05, 0.3))


def _state_of(hosts: Hosts, host: str) -> HostState:
    return hosts.get(host, HostState())


def remove_hosts(path: Path, hosts: Set[str]) -> None:
    """Remove what a rate limiter's file remembers of some hosts; no rate limiter may be at work."""
    places = [path]
    if is_remote(path) and (number := latest_of(path)[0]):
        remove_versions(path, before=number)
        places.append(version_of(path, number))
    for place in places:
        if file_size(place) is None:
            continue
        known: object = None
        with suppress(ValueError):  # a damaged file holds nothing
            known = json.loads(content_of(place) or b"{}")
        rest = known if isinstance(known, dict) else {}
        rest = {host: state for host, state in rest.items() if host not in hosts}
        if rest != known:
            with replacing(place) as temporary:
                temporary.write_text(json.dumps(rest))


def _to_bytes(hosts: Hosts) -> bytes:
    return json.dumps({name: asdict(host) for name, host in hosts.items()}).encode()


def _own_bytes(hosts: Hosts) -> bytes:
    """The hosts, and behind them blanks that nobody else has: JSON does not mind."""
    blanks = f"{secrets.randbits(64):064b}".replace("0", " ").replace("1", "\n")
    return _to_bytes(hosts) + blanks.encode()


def _parse(text: bytes, now: float) -> dict[str, HostState]:
    """The remembered hosts; none of a damaged file. Times far ahead are of a clock set back."""
    try:
        hosts = from_plain(dict[str, HostState], json.loads(text or b"{}"))
    except (ValueError, RecursionError):
        return {}
    return {
        name: host
        if max(host.next_slot, host.blocked_until, host.struck) <= now + 24 * _LONGEST_PAUSE
        else HostState()
        for name, host in hosts.items()
    }
