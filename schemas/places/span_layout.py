"""Where what is finished of a span of a video lies; the rest of the data folder: ``layout``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SpanFolder:
    """What is finished of one span of a video, ``work/<video_id>/<start in ms>-<key>``."""

    root: Path

    @property
    def clips(self) -> Path:
        """Parquet, the span's rows of the clips table; written last: the sign that it is done."""
        return self.root / "clips.parquet"

    @property
    def progress(self) -> Path:
        """Text beside it, the share of the work that is done; only while a run is at it."""
        return self.root.with_name(f"{self.root.name}.progress")

    def clip(self, clip_id: str) -> Path:
        """Tar without end, the samples of one clip."""
        return self.root / f"{clip_id}.tar"
