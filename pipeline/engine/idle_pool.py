"""What is dear to start and can be used again, kept for the next bundle of the same process.

Engines set up and tear down a worker's steps for every bundle, some for every element. A sandbox
that has loaded its models must outlive that, but not the run by much: what nobody asked for in a
while is closed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

#: Seconds between two questions whether one is still wanted.
_LOOK = 1.0
_T = TypeVar("_T")


class NotWanted(Exception):
    """Whoever waited for one does not want it any more."""


class IdlePool(Generic[_T]):
    """Things for one user at a time: an idle one is taken, or a new one is made."""

    def __init__(
        self,
        make: Callable[[], _T],
        close: Callable[[_T], object],
        *,
        most: int | None = None,
        keep: float = 30.0,
    ) -> None:
        """
        Args:
            make: a new one. close: ends one.
            most: that may be in use at the same time; None: any number.
            keep: seconds after which an idle one is closed.
        """
        self._make, self._close, self._keep = make, close, keep
        self._free = threading.Semaphore(most) if most else None
        self._idle: list[tuple[float, _T]] = []  # the one that was used last comes last
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @contextmanager
    def taken(self, wanted: Callable[[], bool] = lambda: True) -> Iterator[_T]:
        """One of them, for as long as the block lasts.

        Args:
            wanted: asked about once a second while all are in use.

        Raises:
            NotWanted: if ``wanted`` said no.
        """
        while self._free and not self._free.acquire(timeout=_LOOK):
            if not wanted():
                raise NotWanted
        try:
            with self._lock:
                one = self._idle.pop()[1] if self._idle else None
            if one is None:
                one = self._make()
            try:
                yield one
            finally:
                with self._lock:
                    self._idle.append((time.monotonic(), one))
                    self._wait()
        finally:
            if self._free:
                self._free.release()

    def close(self) -> None:
        """Close all that nobody uses."""
        self._close_idle(0.0)

    def _close_idle(self, keep: float) -> None:
        with self._lock:
            self._timer = None
            latest = time.monotonic() - keep
            old = [one for since, one in self._idle if since <= latest]
            self._idle = [entry for entry in self._idle if entry[0] > latest]
            self._wait()
        for one in old:
            self._close(one)

    def _wait(self) -> None:
        """Look again later, as long as there is something to close; called with the lock held."""
        if self._idle and self._timer is None:
            self._timer = threading.Timer(self._keep, self._close_idle, [self._keep])
            self._timer.daemon = True
            self._timer.start()
