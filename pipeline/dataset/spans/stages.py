"""Which stage of the work on a span a worker's time goes into.

A stage is entered where its work is done, however deep; what another one inside takes is that
one's. Outside of :func:`measured` a stage costs nothing and tells nobody.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from fsh.schemas.throughput import SpanWork

_T = TypeVar("_T")
#: Core-seconds below which a stage is not worth its place.
_LEAST = 0.0005


def core_seconds() -> float:
    """Core-seconds of this process so far, and of its children that have ended (ffmpeg)."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


class StageClock:
    """Sums up core-seconds by stage; one stage runs at a time."""

    def __init__(self, spent: Callable[[], float] = core_seconds) -> None:
        """
        Args:
            spent: core-seconds since any moment.
        """
        self._spent = spent
        self._cores: defaultdict[str, float] = defaultdict(float)
        self._stage, self._since = "other", spent()
        self._began = time.monotonic()

    def enter(self, stage: str) -> str:
        """Go on in another stage; returns the one before."""
        now, before = self._spent(), self._stage
        self._cores[before] += now - self._since
        self._stage, self._since = stage, now
        return before

    def work(self, seconds: float, clips: int) -> SpanWork:
        """What was measured until now, on a span of so many seconds that gave so many clips."""
        self.enter(self._stage)
        cores = {name: round(spent, 4) for name, spent in self._cores.items() if spent > _LEAST}
        return SpanWork(seconds, clips, round(time.monotonic() - self._began, 4), cores)


_clock: ContextVar[StageClock | None] = ContextVar("_clock", default=None)


@contextmanager
def measured() -> Iterator[StageClock]:
    """Measure the stages that are entered meanwhile."""
    clock = StageClock()
    token = _clock.set(clock)
    try:
        yield clock
    finally:
        _clock.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """What is done meanwhile belongs to a stage, one of :data:`fsh.schemas.throughput.STAGES`."""
    clock = _clock.get()
    if clock is None:
        yield
        return
    before = clock.enter(name)
    try:
        yield
    finally:
        clock.enter(before)


def staged(name: str, items: Iterable[_T]) -> Iterator[_T]:
    """The items; what making each of them takes belongs to a stage."""
    source = iter(items)
    while True:
        with stage(name):
            try:
                item = next(source)
            except StopIteration:
                return
        yield item
