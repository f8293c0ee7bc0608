"""From tar shards to batches of episodes, in an order that is a pure function of the seed.

Shards are plain WebDataset. The order of the shards is shuffled per epoch before it is split over
ranks and workers; samples then pass a seeded shuffle buffer. A stream never ends (it goes on with
the next epoch), so ranks with fewer samples never leave the others waiting. Its position is the
number of batches taken; a stream that starts at a position reads past the samples before it
without decoding them, and goes on exactly where the other stopped.
"""

from __future__ import annotations

import io
import itertools
import json
import queue
import random
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from fsh.schemas.card import DatasetCard
from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.layout import DataFolder
from fsh.schemas.tables import CLIPS, read_table
from fsh.trainer.raster import draw_all, rescale
from fsh.trainer.tar import TarSample, read_samples

#: Episodes' JPEGs held back per worker to mix shards; about 0.1 MB each.
SHUFFLE = 256
#: Denominator of the DCT scale to OpenCV's flag. Whole pictures come as RGB from the decoder.
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_VIDEO = re.compile(rb'"video_id":\s?"([^"\\]*)"')
#: Bytes of ``.npy`` in which the header of a plain array ends.
NPY_HEADER = 128


class Raw(NamedTuple):
    """An episode not yet decoded: K source frames and, last, the target."""

    key: str
    video: str
    jpegs: tuple[bytes, ...]
    landmarks: np.ndarray


class Batch(NamedTuple):
    """Decoded episodes on the CPU: uint8 images (B, K+1, H, H, 3), the target last."""

    images: torch.Tensor
    landmarks: torch.Tensor
    videos: tuple[str, ...]
    keys: tuple[str, ...]
    skipped: int

    def pin_memory(self) -> Batch:
        return self._replace(images=self.images.pin_memory(), landmarks=self.landmarks.pin_memory())


@dataclass(frozen=True)
class DataPlan:
    """What a run will read, checked before anything starts.

    Attributes:
        shards: absolute paths.
        samples: in all shards together.
        videos: ids of the videos with kept training clips.
        workers: loader processes per rank (0: none), after the check.
    """

    card: DatasetCard
    shards: tuple[str, ...]
    samples: int
    videos: tuple[str, ...]
    workers: int
    note: str = ""


def plan_data(data: DataFolder, *, workers: int, world: int = 1, split: str = "train") -> DataPlan:
    """Read the card and the table of clips and check that every reader has a shard.

    Raises:
        FshError: no data set, an empty split, a missing shard, or fewer shards than ranks.
    """
    card = DatasetCard.read(data.card)
    infos = card.split(split)
    if not infos:
        raise FshError(f"no {split} shards in this data set", where=data.card, remedy="add videos")
    paths = [data.root / info.path for info in infos]
    if missing := [path for path in paths if not path.is_file()]:
        raise FshError("this shard is missing", where=missing[0], remedy="run `fsh shard` again")
    if len(paths) < world:
        raise FshError(
            f"{len(paths)} {split} shards for {world} processes: some would have nothing to read",
            where=data.shards,
            remedy="use fewer processes, or shard with a smaller shard size",
        )
    allowed = len(paths) // world
    note = ""
    if workers > allowed:
        note = f"{len(paths)} shards allow {allowed} loader processes per rank, not {workers}"
        workers = allowed
    rows = read_table(data.clips, CLIPS).select(["video_id", "split", "kept"]).to_pylist()
    videos = sorted({row["video_id"] for row in rows if row["kept"] and row["split"] == split})
    return DataPlan(
        card=card,
        shards=tuple(str(path.resolve()) for path in paths),
        samples=sum(info.samples for info in infos),
        videos=tuple(videos),
        workers=workers,
        note=note,
    )


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
    order = random_.sample(list(found), len(found))
    target, rest = order[0], order[1:] or order
    sources = [rest[i % len(rest)] for i in range(frames)]
    return [*sources, target]


class Arrays:
    """uint8 arrays that come back by themselves when nobody holds them or a view of them any more.

    Touching fresh memory for the first time costs as much as decoding a picture into it.
    """

    def __init__(self) -> None:
        self.made: list[np.ndarray] = []

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array with anything in it."""
        for i in range(len(self.made)):
            # No more than two references: the list's, and what this very call makes.
            if self.made[i].shape == shape and sys.getrefcount(self.made[i]) <= 2:
                return self.made[i]
        self.made.append(np.empty(shape, np.uint8))
        return self.made[-1]


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
        self.images, self.lines = Arrays(), Arrays()

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
            samples = (sample for shard in mine for sample in read_samples(shard))
            episodes = (raw for sample in samples if (raw := self.pick(sample, epoch)))
            mixer = random.Random(f"mix-{self.seed}-{epoch}-{self.rank}-{worker}")
            empty = True
            for episode in _shuffled(episodes, mixer, SHUFFLE):
                empty = False
                yield episode
            if empty:
                raise FshError("no usable sample in these shards", where=", ".join(mine))
            epoch += 1

    def pick(self, sample: TarSample, epoch: int) -> Raw | None:
        """The episode of a sample; None if it has no frame with landmarks."""
        key, landmarks = sample.key, read_npy(sample["landmarks.npy"])
        found = np.flatnonzero(np.isfinite(landmarks).all((1, 2))).tolist()
        if not found:
            return None
        chosen = choose_frames(key, found, self.frames, self.seed, epoch)
        return Raw(
            key=key,
            video=video_of(sample["json"]),
            jpegs=tuple(sample[f"{i:03d}.jpg"] for i in chosen),
            landmarks=landmarks[chosen],
        )

    def decode(self, raw: Iterator[Raw]) -> Batch:
        """The next ``batch`` episodes, decoded; damaged ones are replaced and counted."""
        episodes = list(itertools.islice(raw, self.batch))
        shape = (self.batch, self.frames + 1, self.image, self.image, 3)
        images, landmarks = self.images.take(shape), self.lines.take(shape)
        landmarks.fill(0)
        good = [
            i
            for i, episode in enumerate(episodes)
            if all(
                decode_jpeg(jpeg, self.size, images[i, k]) for k, jpeg in enumerate(episode.jpegs)
            )
        ]
        if not good:
            raise FshError(
                "none of these samples can be decoded",
                where=", ".join(e.key for e in episodes),
                remedy="run `fsh shard` again",
            )
        for i in good:
            draw_all(
                rescale(episodes[i].landmarks, self.size, self.image), self.image, landmarks[i]
            )
        # A damaged episode's place is taken by another: batches keep their size, positions hold.
        order = [i if i in good else good[i % len(good)] for i in range(len(episodes))]
        if len(good) < len(episodes):
            images, landmarks = images[order], landmarks[order]
        return Batch(
            torch.from_numpy(images),
            torch.from_numpy(landmarks),
            tuple(episodes[i].video for i in order),
            tuple(episodes[i].key for i in order),
            len(episodes) - len(good),
        )


def video_of(info: bytes) -> str:
    """``video_id`` of a sample's JSON, without parsing its hundreds of times and boxes.

    Inside a string the quotes would be escaped, so what is found is the field.
    """
    found = _VIDEO.search(info)
    return found[1].decode() if found else json.loads(info)["video_id"]


def read_npy(data: bytes) -> np.ndarray:
    """An array from ``.npy`` bytes; never unpickles. Headers repeat, so they are parsed once."""
    shape, dtype, at = _npy_header(data[:NPY_HEADER])
    return np.frombuffer(data, dtype, offset=at).reshape(shape)


@lru_cache(256)
def _npy_header(head: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    file = io.BytesIO(head)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("only .npy of version 1.0 is read")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype.hasobject:
        raise ValueError("only plain arrays in C order are read")
    return shape, dtype, file.tell()


def reading_scale(size: int, to: int) -> tuple[int, int]:
    """(denominator, OpenCV's flag) of the smallest DCT scale that is still at least ``to``."""
    reduce = next((r for r in (8, 4, 2) if to * r <= size), 1)
    return reduce, _REDUCED[reduce]


def decode_jpeg(data: bytes, size: int, into: np.ndarray) -> bool:
    """A JPEG of ``size``² into a uint8 RGB picture of any size, decoded at 1/2, 1/4 or 1/8 where
    that does.

    Returns:
        False, the picture left as it was, if the bytes are not an image of that size.
    """
    to = into.shape[0]
    reduce, flag = reading_scale(size, to)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if image is None or image.shape[:2] != (-(-size // reduce),) * 2:
        return False
    if image.shape[0] != to:
        how = cv2.INTER_AREA if image.shape[0] > to else cv2.INTER_CUBIC
        image = cv2.resize(image, (to, to), interpolation=how)
    if reduce == 1:
        into[:] = image
    else:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=into)
    return True


def loader(stream: EpisodeStream, workers: int, *, pin: bool = False) -> Iterator[Batch]:
    """The stream's batches in a fixed order, decoded ahead by ``workers`` processes.

    0 workers decode in a thread of this process, which is enough on a CPU: OpenCV lets go of the
    interpreter while it decodes. Processes are started afresh, never forked from this one, whose
    thread pools would be dead and locked in a fork.
    """
    if workers == 0:
        return _ahead(iter(stream))
    return iter(
        DataLoader(
            stream,
            batch_size=None,
            num_workers=workers,
            worker_init_fn=_start_worker,
            prefetch_factor=4,
            pin_memory=pin,
            multiprocessing_context="forkserver",
        )
    )


def _ahead(batches: Iterator[Batch], depth: int = 2) -> Iterator[Batch]:
    """The same batches, made by a thread that stays up to ``depth`` ahead."""
    made: queue.Queue[Batch | BaseException] = queue.Queue(depth)
    closed = threading.Event()

    def work() -> None:
        item: Batch | BaseException
        while not closed.is_set():
            try:
                item = next(batches)
            except BaseException as error:  # handed over, raised where the batch is wanted
                item = error
            while not closed.is_set():
                try:
                    made.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if isinstance(item, BaseException):
                return

    thread = threading.Thread(target=work, name="decode", daemon=True)
    thread.start()
    try:
        while True:
            item = made.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()  # an interpreter that ends under a thread inside OpenCV aborts


def _start_worker(_: int) -> None:
    # Ctrl-C reaches every process of a terminal; the training process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


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
