"""Where everything lies in a shard, found once and kept: from then on an episode is a few reads.

Shards of an object store are read from copies on this machine; while one is read, the next is
fetched.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, NamedTuple

import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.faces import landmarks as points
from fsh.schemas.places.local_copies import ShardOpener, opened
from fsh.schemas.shards.sample import LANDMARKS, MESH, StoredSample, read_samples

_REMEDY = "run `fsh shard` again"


class IndexedSample(NamedTuple):
    """Where one sample's members lie in its shard; about 1.5 KB in memory where it has 48 frames.

    Attributes:
        key: the sample's key. video: the video's id. clip: the clip's. identity: who it is.
        found: numbers of the frames that have landmarks, int16 (F,), F > 0.
        pictures: first byte and length of every frame's JPEG, int64 (N, 2).
        landmarks: the same of the landmarks' ``.npy``.
        mesh: the same of the mesh's; None if the data set has none.
        real: the part of the crops that shows the source: left, top, right, bottom edges in crop
            pixels; None if it is not stored.
    """

    key: str
    video: str
    clip: str
    identity: str
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

    def __init__(self, path: str, samples: tuple[IndexedSample, ...], file: BinaryIO) -> None:
        """
        Args:
            file: the shard, or its copy.
        """
        self.path, self.samples = path, samples
        self._clips: dict[str, list[IndexedSample]] = {}
        self.file = os.dup(file.fileno())

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)

    def others_of(self, sample: IndexedSample) -> list[IndexedSample]:
        """The samples of other clips of the same person in this shard, in its order."""
        if not self._clips:
            for one in self.samples:
                self._clips.setdefault(one.identity, []).append(one)
        return [one for one in self._clips[sample.identity] if one.clip != sample.clip]

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
        opener: opens a shard's file, or a copy of it on this machine.
    """

    def __init__(
        self,
        read: Callable[[str], Iterator[StoredSample]] = read_samples,
        opener: ShardOpener = opened,
    ) -> None:
        self.read, self.opener = read, opener
        self.known: dict[str, tuple[tuple[str, int, int], tuple[IndexedSample, ...]]] = {}

    def open(self, path: str) -> OpenShard:
        """Raises:
        FshError: a shard that is missing, cut short or no tar, or a sample without its parts.
        """
        try:
            with self.opener(path) as file:
                return self._indexed(path, file)
        except OSError as error:
            raise FshError(f"cannot be read ({error})", where=path, remedy=_REMEDY) from error

    def open_each(self, paths: Sequence[str]) -> Iterator[OpenShard]:
        """:meth:`open` in turn. What has to be fetched is fetched while the one before is read."""
        if self.opener is opened:
            yield from map(self.open, paths)
            return
        with ThreadPoolExecutor(1, "fetch") as thread:
            ahead: Future[BinaryIO] | None = None
            for number, path in enumerate(paths):
                file = ahead.result() if ahead else self.opener(path)
                following = paths[number + 1 : number + 2]
                ahead = thread.submit(self.opener, following[0]) if following else None
                with file:
                    shard = self._indexed(path, file)
                yield shard

    def _indexed(self, path: str, file: BinaryIO) -> OpenShard:
        status = os.fstat(file.fileno())
        version = file.name, status.st_size, status.st_mtime_ns
        if path not in self.known or self.known[path][0] != version:
            try:
                samples = map(index_sample, self.read(file.name))
                self.known[path] = version, tuple(s for s in samples if len(s.found))
            except FshError as error:
                if file.name == path:
                    raise
                raise FshError(error.what, where=path, remedy=error.remedy) from error
        return OpenShard(path, self.known[path][1], file)


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
        clip=sys.intern(sample.info.clip_id),
        identity=sys.intern(sample.info.identity),
        found=np.flatnonzero(points.found(landmarks)).astype(np.int16),
        pictures=sample.frame_places,
        landmarks=sample.place(LANDMARKS),
        mesh=None if mesh is None else sample.place(MESH),
        real=sample.real,
    )
