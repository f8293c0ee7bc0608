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
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.places.local_copies import ShardOpener, opened
from fsh.trainer.data.decode import BufferPool, decode_jpeg
from fsh.trainer.data.episode_frames import EpisodeFrames, choose_frames
from fsh.trainer.data.landmark_images import draw_crop_landmarks, in_shares
from fsh.trainer.data.shard_index import IndexedSample, OpenShard, ShardIndex

#: Episodes in a worker's shuffle buffer, which mixes shards; frames are read when they leave it.
SHUFFLE_BUFFER = 256

_REMEDY = "run `fsh shard` again"
#: Decodes a JPEG of a given side into a picture; False if it is damaged (:func:`decode_jpeg`).
JpegDecoder = Callable[[bytes, int, np.ndarray], bool]


class Batch(NamedTuple):
    """Decoded episodes on the CPU, B of K source frames and, last, the target.

    Attributes:
        images: uint8 (B, K+1, P, P, 3).
        landmark_images: uint8 (B, K+1, H, H, 3).
        points: float32 (B, K+1, 478, 3), meshes, or (B, K+1, 68, 2), landmarks, if the data set has
            no meshes; in shares of the crop.
        real: float32 (B, K+1, 4), the part of each image that shows the source, in shares of it:
            left, top, right, bottom edges; all of it where that is not known.
        elsewhere: bool (B, K+1), the images of another clip than the target's.
        videos, keys: of each episode, the video's id and the sample's key.
        damaged: shard and sample key of each episode with a frame that cannot be decoded; others
            stand in for them.
    """

    images: torch.Tensor
    landmark_images: torch.Tensor
    points: torch.Tensor
    real: torch.Tensor
    elsewhere: torch.Tensor
    videos: tuple[str, ...]
    keys: tuple[str, ...]
    damaged: tuple[tuple[str, str], ...]

    @property
    def skipped(self) -> int:
        """Episodes that others stand in for."""
        return len(self.damaged)

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; what a loader calls before a copy to a GPU."""
        return self._replace(
            images=self.images.pin_memory(),
            landmark_images=self.landmark_images.pin_memory(),
            points=self.points.pin_memory(),
            real=self.real.pin_memory(),
            elsewhere=self.elsewhere.pin_memory(),
        )


def shard_order(shards: Sequence[str], seed: int, epoch: int) -> list[str]:
    """All shards in this epoch's order, the same in every process."""
    order = sorted(shards)
    random.Random(f"shards-{seed}-{epoch}").shuffle(order)
    return order


class EpisodeStream(IterableDataset):
    """Batches of one rank, without end.

    Args:
        shards: paths of all shards of the split.
        crop_size: side of the crops on disk. image_size: P, side of the images wanted.
        landmark_size: H, side of the landmark images; None: that of the images.
        frames: K, source frames per episode. batch: episodes per batch.
        rank, world: this process's number and how many there are.
        start: batches of this rank already taken. decoder: decodes frames. gaze: draws irises.
        other_clips: share of the episodes whose source frames but the first are of another clip of
            the person, where the shard has one.
        opener: opens a shard's file, or a copy of it on this machine.
    """

    def __init__(
        self,
        shards: Sequence[str],
        *,
        crop_size: int,
        image_size: int,
        frames: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
        other_clips: float = 0.0,
        decoder: JpegDecoder = decode_jpeg,
        landmark_size: int | None = None,
        opener: ShardOpener = opened,
        gaze: bool = False,
    ) -> None:
        self.shards, self.crop_size, self.image_size = tuple(shards), crop_size, image_size
        self.landmark_size = landmark_size or image_size
        self.frames, self.batch, self.seed = frames, batch, seed
        self.rank, self.world, self.start = rank, world, start
        self.gaze, self.other_clips = gaze, other_clips
        self.decoder, self.index = decoder, ShardIndex(opener=opener)
        self.image_buffers, self.landmark_buffers = BufferPool(), BufferPool()

    def __iter__(self) -> Iterator[Batch | FshError]:
        """The batches of this process.

        In a loader's process an FshError is handed out like a batch: PyTorch would put the whole
        traceback into its message.
        """
        info = get_worker_info()
        if info is None:
            yield from self.batches()
            return
        try:
            yield from self.batches(info.id, info.num_workers)
        except FshError as error:
            yield error

    def batches(self, worker: int = 0, workers: int = 1) -> Iterator[Batch]:
        """The batches that loader process number ``worker`` of ``workers`` makes.

        Raises:
            FshError: a shard that cannot be read, or a reader without any usable sample.
        """
        # The loader takes batches from its workers in turn, beginning with worker 0. After
        # `start` batches it is the turn of number `start` modulo `workers`: play that one's role.
        role = (self.start + worker) % workers
        episodes = self.episodes(role, workers)
        taken = (self.start - role + workers - 1) // workers
        for _ in range(taken * self.batch):
            next(episodes)
        while True:
            yield self.decode(episodes)

    def episodes(self, worker: int, workers: int) -> Iterator[EpisodeFrames]:
        """Undecoded episodes of one worker in their final order, epoch after epoch."""
        epoch = 0
        while True:
            order = shard_order(self.shards, self.seed, epoch)
            own = order[self.rank :: self.world][worker::workers]
            shards = self.index.open_each(own)
            episodes = (self.pick(shard, s, epoch) for shard in shards for s in shard.samples)
            mixer = random.Random(f"mix-{self.seed}-{epoch}-{self.rank}-{worker}")
            empty = True
            for episode in _shuffled(episodes, mixer, SHUFFLE_BUFFER):
                empty = False
                yield episode
            if empty:
                raise FshError("no usable sample in these shards", where=", ".join(own))
            epoch += 1

    def pick(self, shard: OpenShard, sample: IndexedSample, epoch: int) -> EpisodeFrames:
        """The episode of a sample in an epoch."""
        found = sample.found.tolist()
        frames = choose_frames(sample.key, found, self.frames, self.seed, epoch)
        other = self.other_clip(shard, sample, epoch)
        if other is not None:
            away = choose_frames(other.key, other.found.tolist(), self.frames, self.seed, epoch)
            frames[1:-1] = away[1:-1]
        return EpisodeFrames(shard, sample, frames, other)

    def other_clip(
        self, shard: OpenShard, sample: IndexedSample, epoch: int
    ) -> IndexedSample | None:
        """The other clip of the person that an episode takes source frames of, if it does."""
        if not self.other_clips or self.frames < 2:
            return None
        random_ = random.Random(stable_hash(sample.key, salt=f"other-{self.seed}-{epoch}"))
        others = shard.others_of(sample) if random_.random() < self.other_clips else []
        return random_.choice(others) if others else None

    def decode(self, undecoded: Iterator[EpisodeFrames]) -> Batch:
        """The next ``batch`` episodes, decoded; damaged ones are replaced and counted.

        Raises:
            FshError: if all of them are damaged.
        """
        episodes = list(itertools.islice(undecoded, self.batch))
        crop, size = self.crop_size, self.landmark_size
        images = self.image_buffers.take(self._shape(self.image_size))
        drawn = self.landmark_buffers.take(self._shape(size))
        broken: dict[int, str] = {}
        for i, episode in enumerate(episodes):
            for k, jpeg in enumerate(episode.jpegs()):
                if not self.decoder(jpeg, crop, images[i, k]):
                    broken[i] = episode.samples()[k].key
                    break
        good = [i for i in range(len(episodes)) if i not in broken]
        if not good:
            keys = ", ".join(dict.fromkeys(broken.values()))
            raise FshError(
                f"none of these samples can be decoded: {keys}",
                where=", ".join(sorted({episode.shard.path for episode in episodes})),
                remedy=_REMEDY,
            )
        for i in good:
            mesh = episodes[i].mesh() if self.gaze else None
            draw_crop_landmarks(episodes[i].landmarks(), crop, size, drawn[i], mesh)
        # A damaged episode's place is taken by another: batches keep their size, positions hold.
        order = [i if i in good else good[i % len(good)] for i in range(len(episodes))]
        if len(good) < len(episodes):
            images, drawn = images[order], drawn[order]
        return Batch(
            torch.from_numpy(images),
            torch.from_numpy(drawn),
            self.points([episodes[i] for i in order]),
            torch.from_numpy(np.stack([episodes[i].real(crop) for i in order])),
            torch.tensor([episodes[i].elsewhere for i in order]),
            tuple(episodes[i].sample.video for i in order),
            tuple(episodes[i].sample.key for i in order),
            tuple((episodes[i].shard.path, key) for i, key in broken.items()),
        )

    def points(self, episodes: Sequence[EpisodeFrames]) -> torch.Tensor:
        """See :attr:`Batch.points`."""
        read = [episode.mesh() for episode in episodes]
        known = [mesh for mesh in read if mesh is not None]
        if len(known) < len(read):
            known = [episode.landmarks() for episode in episodes]
        return torch.from_numpy(in_shares(np.stack(known), self.crop_size))

    def _shape(self, side: int) -> tuple[int, int, int, int, int]:
        return (self.batch, self.frames + 1, side, side, 3)


def _shuffled(
    items: Iterator[EpisodeFrames], mixer: random.Random, size: int
) -> Iterator[EpisodeFrames]:
    """A shuffle buffer: emit a random one of the ``size`` in it, put the next in its place."""
    buffer: list[EpisodeFrames] = []
    for item in items:
        if len(buffer) < size:
            buffer.append(item)
            continue
        i = mixer.randrange(size)
        buffer[i], item = item, buffer[i]
        yield item
    mixer.shuffle(buffer)
    yield from buffer
