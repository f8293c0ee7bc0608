"""Where the time of live frames goes, over the last seconds: bounded, however long it runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from fsh.schemas.live import STAGES

#: Frames that the numbers are of: ten seconds at 30 frames a second.
_FRAMES = 300
#: Seconds over which frames are counted.
_COUNTED = 3.0


class LiveTiming:
    """Frames per second, latencies and stages of one session."""

    def __init__(self) -> None:
        self.shown = 0
        self._first: float | None = None
        self._times: deque[float] = deque(maxlen=_FRAMES)
        self._latencies: deque[float] = deque(maxlen=_FRAMES)
        self._delays: deque[float] = deque(maxlen=_FRAMES)
        self._stages: deque[tuple[float, ...]] = deque(maxlen=_FRAMES)

    def drawn(self, stages: Mapping[str, float], delay: float) -> None:
        """Note the stages of a frame, and by how many seconds its face lags, both in seconds."""
        self._stages.append(tuple(stages.get(name, 0.0) for name in STAGES))
        self._delays.append(delay)

    def seen(self, latency: float) -> None:
        """Note that the page has shown a frame, ``latency`` seconds after it was captured."""
        self.shown += 1
        self._times.append(time.monotonic())
        self._first = self._first or self._times[-1]
        self._latencies.append(latency)

    @property
    def mean_fps(self) -> float:
        """Frames per second between the first frame shown and the last; 0 with fewer than two."""
        if self.shown < 2 or self._first is None:
            return 0.0
        return (self.shown - 1) / max(self._times[-1] - self._first, 1e-6)

    def summary(self) -> dict[str, Any]:
        """Frames a second, and milliseconds: latency with smoothing's share in it, and stages."""
        now = time.monotonic()
        recent = [at for at in self._times if now - at <= _COUNTED]
        stages = np.array(self._stages).reshape(-1, len(STAGES))
        smoothing = float(np.median(self._delays)) if self._delays else 0.0
        latencies = np.array(self._latencies)
        half, most = np.percentile(latencies, [50, 95]) if len(latencies) else (0.0, 0.0)
        middle = np.median(stages, axis=0) if len(stages) else np.zeros(len(STAGES))
        return {
            "fps": len(recent) / _COUNTED,
            "p50": 1e3 * (half + smoothing),
            "p95": 1e3 * (most + smoothing),
            "smoothing": 1e3 * smoothing,
            "stages": {name: 1e3 * float(x) for name, x in zip(STAGES, middle, strict=True)},
            "shown": self.shown,
        }
