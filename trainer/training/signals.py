"""Ctrl-C as a wish: the step under way is finished and saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fsh.schemas.progress import Progress


@contextmanager
def stop_on_signals(progress: Progress) -> Iterator[Callable[[], bool]]:
    """Yield ``stop()``, which is True once SIGINT or SIGTERM came. A second one ends at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        progress.say("stopping: finishing this step and saving (once more to stop at once)")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
