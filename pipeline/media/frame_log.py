"""What ffmpeg's ``showinfo`` writes of every frame, read while ffmpeg runs."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections import deque
from fractions import Fraction
from typing import IO

_BASE = re.compile(r"config in time_base: (\d+)/(\d+)")
_FRAME = re.compile(r"\] n: *\d+ pts: *(-?\d+|NOPTS) .* s:(\d+)x(\d+) i:(\S)")
#: How the upper or the lower rows of an interlaced frame are said to be first.
_INTERLACED = ("T", "B")


class FrameLog:
    """ffmpeg's stderr, read in a thread: time and size of each frame, and the last other lines.

    Args:
        zero: second 0 in the container's own time.
        until_interlaced: it ends before the first frame that is interlaced.

    Attributes:
        interlaced: that one's time, once it has ended so.
    """

    def __init__(self, stderr: IO[bytes], zero: Fraction, *, until_interlaced: bool) -> None:
        self._zero, self._until_interlaced = zero, until_interlaced
        self.interlaced: float | None = None
        self._entries: queue.SimpleQueue[tuple[float, int, int] | None] = queue.SimpleQueue()
        self._tail: deque[str] = deque(maxlen=4)
        self._thread = threading.Thread(target=self._parse, args=(stderr,), daemon=True)
        self._thread.start()

    def next(self) -> tuple[float, int, int] | None:
        """(time, width, height) of the next frame, or None after the last."""
        return self._entries.get()

    def last_lines(self) -> str:
        """The end of what ffmpeg wrote, at most 300 characters, for an error message."""
        self.join()
        return " ".join(self._tail)[-300:] or "no reason given"

    def join(self) -> None:
        self._thread.join()

    def _parse(self, stderr: IO[bytes]) -> None:
        base = Fraction(1, 1)
        with contextlib.closing(stderr):
            for raw in stderr:
                line = raw.decode(errors="replace").rstrip()
                if found := _FRAME.search(line):
                    pts, width, height, fields = found.groups()
                    # Without a time stamp a frame cannot be placed: as NaN it is in no range.
                    known = pts != "NOPTS"
                    time = float(int(pts) * base - self._zero) if known else float("nan")
                    if self._until_interlaced and fields in _INTERLACED and known:
                        if self.interlaced is None:
                            self.interlaced = time
                            self._entries.put(None)
                        continue
                    self._entries.put((time, int(width), int(height)))
                elif found := _BASE.search(line):
                    base = Fraction(int(found[1]), int(found[2]))
                elif line and "showinfo" not in line:
                    self._tail.append(line)
        self._entries.put(None)
