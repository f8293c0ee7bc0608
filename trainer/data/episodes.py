"""From tar shards to batches of episodes, in an order that is a pure function of the seed.

Shards are plain WebDataset. The order of the shards is shuffled per epoch before it is split over
ranks and workers; samples then pass a seeded shuffle buffer. A stream never ends (it goes on with
the next epoch), so ranks with fewer samples never leave the others waiting. Its position is the
number of batches taken; a stream that starts at a position reads past the samples before it
without decoding them, and goes on exactly where the other stopped.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.sample import read_npy
from fsh.trainer.data.decode import Arrays, decode_jpeg
from fsh.trainer.data.landmark_images import draw_all, rescale
from fsh.trainer.data.shard_index import Entry, Index, Shard

#: Episodes held back per worker to mix shards; they are read when their turn comes.
SHUFFLE = 256


class Raw(NamedTuple):
    """An episode not yet read: K source frames and, last, the target."""

    shard: Shard
    entry: Entry
    chosen: list[int]

    def jpegs(self) -> list[bytes]:
        places = self.entry.pictures[self.chosen].tolist()
        return [self.shard.read(start, size) for start, size in places]

    def landmarks(self) -> np.ndarray:
        """(K+1, 68, 2) in pixels of the crops on disk."""
        return read_npy(self.shard.read(*self.entry.landmarks))[self.chosen]


class Batch(NamedTuple):
    """Decoded episodes on the CPU: uint8 images (B, K+1, H, H, 3), the target last."""

    images: torch.Tensor
    landmarks: torch.Tensor
    videos: tuple[str, ...]
    keys: tuple[str, ...]
    skipped: int

    def pin_memory(self) -> Batch:
        return self._replace(images=self.images.pin_memory(), landmarks=self.landmarks.pin_memory())


def shard_order(shards: Sequence[str], seed: int, epoch: int) -> list[str]:
    """All shards in this epoch's order, the same in every process."""
    order = sorted(shards)
    random.Random(f"shards-{seed}-{epoch}").shuffle(order)
    return order


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


class EpisodeStream(IterableDataset):
    """Batches of one rank, for ever.

    Args:
        shards: all shards of the split.
        size: side of the crops on disk. image: side of the images wanted.
        start: batches of this rank already taken.
    """

    def __init__(
        self,
        shards: Sequence[str],
        *,
        size: int,
        image: int,
        frames: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
    ) -> None:
        self.shards, self.size, self.image = tuple(shards), size, image
        self.frames, self.batch, self.seed = frames, batch, seed
        self.rank, self.world, self.start = rank, world, start
        self.index, self.images, self.lines = Index(), Arrays(), Arrays()

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        # The loader takes batches from its workers in turn, beginning with worker 0. After
        # `start` batches it is the turn of number `start` modulo `workers`: play that one's role.
        role = (self.start + worker) % workers
        raw = self.raw(role, workers)
        taken = (self.start - role + workers - 1) // workers
        for _ in range(taken * self.batch):
            next(raw)
        while True:
            yield self.decode(raw)

    def raw(self, worker: int, workers: int) -> Iterator[Raw]:
        """Undecoded episodes of one worker in their final order, epoch after epoch."""
        epoch = 0
        while True:
            order = shard_order(self.shards, self.seed, epoch)
            mine = order[self.rank :: self.world][worker::workers]
            shards = (self.index.open(path) for path in mine)
            episodes = (self.pick(shard, i, epoch) for shard in shards for i in shard.entries)
            mixer = random.Random(f"mix-{self.seed}-{epoch}-{self.rank}-{worker}")
            empty = True
            for episode in _shuffled(episodes, mixer, SHUFFLE):
                empty = False
                yield episode
            if empty:
                raise FshError("no usable sample in these shards", where=", ".join(mine))
            epoch += 1

    def pick(self, shard: Shard, entry: Entry, epoch: int) -> Raw:
        """The episode of a sample in an epoch."""
        found = entry.found.tolist()
        return Raw(shard, entry, choose_frames(entry.key, found, self.frames, self.seed, epoch))

    def decode(self, raw: Iterator[Raw]) -> Batch:
        """The next ``batch`` episodes, decoded; damaged ones are replaced and counted."""
        episodes = list(itertools.islice(raw, self.batch))
        shape = (self.batch, self.frames + 1, self.image, self.image, 3)
        images, landmarks = self.images.take(shape), self.lines.take(shape)
        good = [
            i
            for i, episode in enumerate(episodes)
            if all(
                decode_jpeg(jpeg, self.size, images[i, k]) for k, jpeg in enumerate(episode.jpegs())
            )
        ]
        if not good:
            raise FshError(
                "none of these samples can be decoded",
                where=", ".join(e.entry.key for e in episodes),
                remedy="run `fsh shard` again",
            )
        for i in good:
            draw_all(
                rescale(episodes[i].landmarks(), self.size, self.image), self.image, landmarks[i]
            )
        # A damaged episode's place is taken by another: batches keep their size, positions hold.
        order = [i if i in good else good[i % len(good)] for i in range(len(episodes))]
        if len(good) < len(episodes):
            images, landmarks = images[order], landmarks[order]
        return Batch(
            torch.from_numpy(images),
            torch.from_numpy(landmarks),
            tuple(episodes[i].entry.video for i in order),
            tuple(episodes[i].entry.key for i in order),
            len(episodes) - len(good),
        )


def _shuffled(items: Iterator[Raw], mixer: random.Random, size: int) -> Iterator[Raw]:
    """A shuffle buffer: emit a random one of the ``size`` held, put the next in its place."""
    held: list[Raw] = []
    for item in items:
        if len(held) < size:
            held.append(item)
            continue
        i = mixer.randrange(size)
        held[i], item = item, held[i]
        yield item
    mixer.shuffle(held)
    yield from held
