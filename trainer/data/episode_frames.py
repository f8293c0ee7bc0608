"""Which frames an episode is made of, and reading them from their shard."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.shards.npy import read_npy
from fsh.trainer.data.shard_index import IndexedSample, OpenShard

_REMEDY = "run `fsh shard` again"


def choose_frames(key: str, found: Sequence[int], frames: int, seed: int, epoch: int) -> list[int]:
    """K source frames and, last, a target that is not among them.

    A run with too few frames repeats source frames; with one frame the target is that frame.
    """
    random_ = random.Random(stable_hash(key, salt=f"frames-{seed}-{epoch}"))
    pool, order = list(found), []
    # The first draws of random.sample over all of them, without the rest of it.
    for left in range(len(pool), max(0, len(pool) - frames - 1), -1):
        i = random_.randrange(left)
        order.append(pool[i])
        pool[i] = pool[left - 1]
    target, rest = order[0], order[1:] or order
    sources = [rest[i % len(rest)] for i in range(frames)]
    return [*sources, target]


class EpisodeFrames(NamedTuple):
    """An episode that is not read yet: the numbers of K source frames and, last, of the target.

    Attributes:
        other: another clip of the person, which all source frames but the first are of; None: all
            frames are of ``sample``.
    """

    shard: OpenShard
    sample: IndexedSample
    frames: list[int]
    other: IndexedSample | None = None

    @property
    def elsewhere(self) -> list[bool]:
        """Of each frame whether it is of the other clip."""
        last = len(self.frames) - 1
        return [self.other is not None and 0 < i < last for i in range(len(self.frames))]

    def samples(self) -> list[IndexedSample]:
        """The sample that each frame is of."""
        return [self.other if away and self.other else self.sample for away in self.elsewhere]

    def jpegs(self) -> list[bytes]:
        """The frames' JPEGs, read from disk."""
        places = [
            sample.pictures[frame].tolist()
            for sample, frame in zip(self.samples(), self.frames, strict=True)
        ]
        return [self.shard.read(start, size) for start, size in places]

    def landmarks(self) -> np.ndarray:
        """float32 (K+1, 68, 2) in pixels of the crops on disk, read from there.

        Raises:
            FshError: if they are no longer what they were when the shard was indexed.
        """
        return self._points([sample.landmarks for sample in self.samples()])

    def mesh(self) -> np.ndarray | None:
        """float32 (K+1, 478, 3) in pixels of the crops on disk; None if the data set has none.

        Raises:
            FshError: as :meth:`landmarks` does.
        """
        places = [sample.mesh for sample in self.samples()]
        known = [place for place in places if place is not None]
        return self._points(known).astype(np.float32) if len(known) == len(places) else None

    def real(self, crop: int) -> np.ndarray:
        """float32 (K+1, 4), the part of each crop of ``crop`` pixels that shows the source, in
        shares of it: left, top, right, bottom edges; all of it where it is not stored.
        """
        edges = [sample.real or (0, 0, crop, crop) for sample in self.samples()]
        return np.array(edges, np.float32) / crop

    def _points(self, places: list[tuple[int, int]]) -> np.ndarray:
        """The episode's frames of each frame's ``.npy`` member."""
        try:
            members = {place: read_npy(self.shard.read(*place)) for place in dict.fromkeys(places)}
            return np.stack([members[p][i] for p, i in zip(places, self.frames, strict=True)])
        except (ValueError, IndexError) as error:
            what = f"the landmarks of sample {self.sample.key} cannot be read ({error})"
            raise FshError(what, where=self.shard.path, remedy=_REMEDY) from error
