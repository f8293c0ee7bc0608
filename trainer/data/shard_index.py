"""Where everything lies in a shard, found once and kept: from then on an episode is a few reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsh.schemas import landmarks as points
from fsh.schemas.errors import FshError
from fsh.schemas.sample import LANDMARKS, MESH, StoredSample, read_samples

_REMEDY = "run `fsh shard` again"


class IndexedSample(NamedTuple):
    """Where one sample's members lie in its shard; about 1.5 KB in memory where it has 48 frames.

    Attributes:
        key: the sample's key. video: the video's id.
        found: numbers of the frames that have landmarks, int16 (F,), F > 0.
        pictures: first byte and length of every frame's JPEG, int64 (N, 2).
        landmarks: the same of the landmarks' ``.npy``.
        mesh: the same of the mesh's; None if the data set has none.
        real: the part of the crops that shows the source: left, top, right, bottom edges in crop
            pixels; None if it is not stored.
    """

    key: str
    video: str
    found: np.ndarray
    pictures: np.ndarray
    landmarks: tuple[int, int]
    mesh: tuple[int, int] | None = None
    real: tuple[float, float, float, float] | None = None


class OpenShard:
    """A shard whose file is open; it is closed when nobody refers to this any more.

    Attributes:
        path: of the shard, for messages.
        samples: those that have landmarks in at least one frame, in the shard's order.
        file: the file's descriptor.
    """

    def __init__(self, path: str, samples: tuple[IndexedSample, ...]) -> None:
        self.path, self.samples = path, samples
        self.file = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)

    def read(self, start: int, size: int) -> bytes:
        """``size`` bytes of the file from byte ``start`` on.

        Raises:
            FshError: if they cannot be read, or the file has been cut short since it was indexed.
        """
        try:
            content = os.pread(self.file, size, start)
        except OSError as error:
            raise FshError(f"cannot be read ({error})", where=self.path, remedy=_REMEDY) from error
        if len(content) < size:
            raise FshError("cut short while it was read", where=self.path, remedy=_REMEDY)
        return content


class ShardIndex:
    """The samples of every shard opened so far; a file that changed is read through anew.

    Args:
        read: reads a shard's samples.
    """

    def __init__(self, read: Callable[[str], Iterator[StoredSample]] = read_samples) -> None:
        self.read = read
        self.known: dict[str, tuple[tuple[int, int], tuple[IndexedSample, ...]]] = {}

    def open(self, path: str) -> OpenShard:
        """Raises:
        FshError: a shard that is missing, cut short or no tar, or a sample without its parts.
        """
        try:
            status = Path(path).stat()
            version = status.st_size, status.st_mtime_ns
            if path not in self.known or self.known[path][0] != version:
                samples = map(index_sample, self.read(path))
                self.known[path] = version, tuple(s for s in samples if len(s.found))
            return OpenShard(path, self.known[path][1])
        except OSError as error:
            raise FshError(f"cannot be read ({error})", where=path, remedy=_REMEDY) from error


def index_sample(sample: StoredSample) -> IndexedSample:
    """Where a sample's members lie.

    Raises:
        FshError: if the sample lacks one of its files, or one of them is damaged.
    """
    landmarks, mesh = sample.landmarks, sample.mesh
    if sample.frames != len(landmarks):
        raise sample.damaged("pictures", f"are {sample.frames}, not {len(landmarks)}")
    return IndexedSample(
        key=sample.key,
        video=sample.video_id,
        found=np.flatnonzero(points.found(landmarks)).astype(np.int16),
        pictures=sample.frame_places,
        landmarks=sample.place(LANDMARKS),
        mesh=None if mesh is None else sample.place(MESH),
        real=sample.real,
    )
