"""Stopping a run from outside: the step that is under way is finished and saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fsh.schemas.progress import Progress


@contextmanager
def stop_on_signals(progress: Progress) -> Iterator[Callable[[], bool]]:
    """Yield ``stop()``, which is True once SIGINT (Ctrl-C), SIGTERM or SIGHUP (a terminal that
    closes; unless it is ignored, as under ``nohup``) came.

    A second signal raises KeyboardInterrupt at once. The handlers of before are put back at the
    end.
    """
    requested = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True
        progress.say("stopping: finishing this step and saving (once more to stop at once)")

    numbers = [signal.SIGINT, signal.SIGTERM]
    closing = getattr(signal, "SIGHUP", None)  # Windows has none
    if closing is not None and signal.getsignal(closing) is not signal.SIG_IGN:
        numbers.append(closing)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield lambda: requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
