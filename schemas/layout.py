"""Where things are on disk. Nothing else in fsh joins these names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The ``data/`` folder: what ``fsh ingest`` and ``fsh shard`` write."""

    root: Path

    @property
    def card(self) -> Path:
        return self.root / "dataset.json"

    @property
    def videos(self) -> Path:
        return self.root / "videos"

    @property
    def sources(self) -> Path:
        """Parquet, one row per requested URL or file."""
        return self.root / "sources" / "sources.parquet"

    @property
    def tombstones(self) -> Path:
        """JSON: hashes of what was erased on request; a later ingest refuses it."""
        return self.root / "sources" / "tombstones.json"

    @property
    def clips(self) -> Path:
        """Parquet, one row per face track, kept or rejected."""
        return self.root / "clips" / "clips.parquet"

    @property
    def work(self) -> Path:
        """What is finished per video: scores and one small tar per clip. Resume reads it."""
        return self.root / "work"

    @property
    def shards(self) -> Path:
        return self.root / "shards"

    def shard(self, split: str, index: int) -> Path:
        return self.shards / split / f"fsh-{split}-{index:06d}.tar"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes ``path``'s name at once.

    A kill at any moment leaves either the old file or the new one, never half a file under the
    final name. The temporary name starts with a dot and ends in ``.tmp``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
