"""Being asked to end: Ctrl-C, a batch system's or a container's SIGTERM, a terminal that closes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

#: Windows has no SIGHUP; with ``nohup`` it is ignored, and stays so.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def _heeded() -> Iterator[int]:
    """The signals that are not ignored."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            yield number


def end_at_once_on_signals() -> None:
    """Once a program is ending, what asks it to end again gets its way, without a word."""
    with suppress(ValueError):  # not the main thread
        for number in _heeded():
            signal.signal(number, lambda number, _: os._exit(128 + number))


class Stopping:
    """Makes each of these signals a KeyboardInterrupt, so that what is half done is cleared away.

    Work that can do better, such as training, which saves first, handles them itself meanwhile. The
    handlers of before are put back at the end. In threads other than the main one it does nothing.
    """

    def __init__(self) -> None:
        self._number = 0
        self._before: dict[int, Any] = {}

    @property
    def was_asked(self) -> bool:
        return bool(self._number)

    @property
    def status(self) -> int:
        """The exit status of a program that a signal ended, as shells have it; Ctrl-C's if none."""
        return 128 + (self._number or signal.SIGINT)

    def __enter__(self) -> Stopping:
        with suppress(ValueError):  # not the main thread
            for number in _heeded():
                self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._number:  # asked again while it clears away
            os._exit(128 + number)
        self._number = number
        raise KeyboardInterrupt
