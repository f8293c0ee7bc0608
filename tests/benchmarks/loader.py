"""The loader against its floor: reading the tars' bytes and decoding K+1 JPEGs per episode.

    python tests/benchmarks/loader.py DATA [--rounds 5] [--episodes 120]

Both sides run in one thread, in turn, on the same data set, and decode at the same DCT scale. The
floor reads every byte of as many samples as episodes are made, 1 MiB at a time, and decodes frames
taken from the data set into fresh arrays; it draws no landmarks, so drawing counts against the
loader. Prints, per preset, the loader's share of the floor's rate: median over the rounds, and its
spread; wall-clock and CPU time. Page caches are warm on both sides.
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

#: Name: side of the pictures, source frames, episodes per batch.
CASES = {"paper": (256, 8, 1), "small": (128, 8, 4), "nano": (64, 2, 4)}


def floor(
    plan: DataPlan, raws: list[list[bytes]], image: int, episodes: int, bytes_: Iterator[int]
) -> None:
    """Read the bytes of ``episodes`` samples and decode one episode's frames for each."""
    size = plan.card.spec.size
    _, flag = reading_scale(size, image)
    for raw in itertools.islice(itertools.cycle(raws), episodes):
        next(bytes_)
        for jpeg in raw:
            cv2.imdecode(np.frombuffer(jpeg, np.uint8), flag)


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


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return time.perf_counter() - wall, time.thread_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=120)
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
        raws = list(itertools.islice(stream.raw(0, 1), 64))
        batches, walk = iter(stream), read_bytes(plan)
        next(batches)  # fills the shuffle buffer
        episodes = options.episodes // batch * batch

        def load(batches=batches, count=episodes // batch) -> None:
            for _ in range(count):
                next(batches)

        def base(raws=raws, image=image, episodes=episodes, walk=walk) -> None:
            floor(plan, raws, image, episodes, walk)

        base()
        rounds = []
        for i in range(options.rounds):
            order = (load, base) if i % 2 else (base, load)
            took = {work: seconds(work) for work in order}
            rounds.append((took[base], took[load]))
        wall = sorted(floor_[0] / ours[0] for floor_, ours in rounds)
        cpu = sorted(floor_[1] / ours[1] for floor_, ours in rounds)
        rate = statistics.median(episodes / ours[0] for _, ours in rounds)
        print(
            f"{name:6s} {image} px, K {frames}: {statistics.median(wall):.2f} of the floor "
            f"({wall[0]:.2f} to {wall[-1]:.2f}); CPU time {statistics.median(cpu):.2f} "
            f"({cpu[0]:.2f} to {cpu[-1]:.2f}); {rate:.0f} episodes/s in one thread",
            flush=True,
        )


if __name__ == "__main__":
    main()
