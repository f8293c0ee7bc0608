"""The loader against its floor: reading the tars' bytes and decoding K+1 JPEGs per episode.

    python tests/benchmarks/loader.py DATA [--rounds 5]

Both sides run in one thread, in turn, on the same data set, and decode at the same DCT scale. The
floor reads every byte of as many samples as episodes are made, 1 MiB at a time, and decodes frames
taken from the data set into fresh arrays; it draws no landmarks, so drawing counts against the
loader. A second floor draws them too. Prints, per preset, the loader's share of both floors' rates
in CPU time: medians over the rounds, and their spread. Page caches are warm on all sides, and the
loader has been through the data set once, as in all epochs but the first.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fsh.schemas.layout import DataFolder
from fsh.trainer.data import DataPlan, plan_data
from fsh.trainer.decode import reading_scale
from fsh.trainer.episodes import EpisodeStream
from fsh.trainer.raster import draw_all, rescale

#: Name: side of the pictures, source frames, episodes per batch.
CASES = {"paper": (256, 8, 1), "small": (128, 8, 4), "nano": (64, 2, 4)}


#: JPEGs and landmarks.
Episode = tuple[list[bytes], np.ndarray]


def floor(
    plan: DataPlan, episodes: list[Episode], image: int, bytes_: Iterator[int], draws: bool
) -> None:
    """Per episode read a sample's bytes, decode the frames; ``draws``: the landmarks too."""
    size = plan.card.spec.size
    _, flag = reading_scale(size, image)
    for jpegs, landmarks in episodes:
        next(bytes_)
        for jpeg in jpegs:
            cv2.imdecode(np.frombuffer(jpeg, np.uint8), flag)
        if draws:
            draw_all(rescale(landmarks, size, image), image)


def read_bytes(plan: DataPlan) -> Iterator[int]:
    """An endless walk over the shards; each step reads as many bytes as a sample has on average."""
    sizes = [Path(shard).stat().st_size for shard in plan.shards]
    share, block = sum(sizes) // plan.samples, bytearray(1 << 20)
    view, got = memoryview(block), 0
    while True:
        for shard in plan.shards:
            with Path(shard).open("rb", buffering=0) as file:
                while True:
                    while got >= share:
                        got -= share
                        yield share
                    count = file.readinto(view)
                    if not count:
                        break
                    got += count


def take(batches: Iterator, count: int) -> None:
    for _ in itertools.islice(batches, count):
        pass


def seconds(work: Callable[[], None]) -> float:
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def shares(over: list[float], under: list[float]) -> str:
    found = sorted(a / b for a, b in zip(over, under, strict=True))
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    plan = plan_data(DataFolder(options.data), workers=0)
    for name, (image, frames, batch) in CASES.items():
        stream = EpisodeStream(
            plan.shards,
            size=plan.card.spec.size,
            image=image,
            frames=frames,
            batch=batch,
            seed=0,
        )
        count = plan.samples // batch  # a whole epoch: the shuffle buffer is filled in bursts
        raws = list(itertools.islice(stream.raw(0, 1), plan.samples + count * batch))
        episodes = [(raw.jpegs(), raw.landmarks()) for raw in raws[-count * batch :]]
        batches, walk = iter(stream), read_bytes(plan)
        works: dict[str, Callable[[], None]] = {
            "floor": lambda e=episodes, i=image, w=walk: floor(plan, e, i, w, False),
            "drawing": lambda e=episodes, i=image, w=walk: floor(plan, e, i, w, True),
            "loader": lambda b=batches, n=count: take(b, n),
        }
        for work in works.values():
            work()
        took: dict[str, list[float]] = {name: [] for name in works}
        for i in range(options.rounds):
            for key in sorted(works, reverse=bool(i % 2)):
                took[key].append(seconds(works[key]))
        print(
            f"{name:6s} {image} px, K {frames}: {shares(took['floor'], took['loader'])} of the "
            f"floor, {shares(took['drawing'], took['loader'])} of the floor with drawing",
            flush=True,
        )


if __name__ == "__main__":
    main()
