"""The loader against its floor: reading the tars' bytes and decoding K+1 JPEGs per episode.

    python tests/benchmarks/loader.py DATA [--rounds 9]

All sides run in one thread, in turn, on the same data set, and decode at the same DCT scale. The
floor reads every byte of as many samples as episodes are made, 1 MiB at a time, and decodes frames
taken from the data set; it draws no landmarks, so drawing counts against the loader. It is made
four times: with OpenCV's decoder, and with fsh's (simplejpeg) into fresh memory, into one picture's
memory again and again, and into the same where rows begin half-way between two vectors. The loader
is held against whichever is the fastest, and against that one with landmarks drawn too. Prints, per
preset, the loader's share of the rates in CPU time: medians over the rounds, and their spread. Page
caches are warm on all sides, and the loader has been through the data set once, as in all epochs
but the first.
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
import simplejpeg

from fsh.schemas.places.layout import DataFolder
from fsh.trainer.data.decode import VECTOR_BYTES, BufferPool, dct_scale
from fsh.trainer.data.episodes import EpisodeStream
from fsh.trainer.data.landmark_images import draw_landmarks, rescale_landmarks
from fsh.trainer.data.plan import DataPlan, plan_data

#: Name: side of the pictures, source frames, episodes per batch.
CASES = {"paper": (256, 8, 1), "small": (128, 8, 4), "nano": (64, 2, 4)}
#: Denominator of the DCT scale to OpenCV's flag.
REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

#: JPEGs and landmarks.
Episode = tuple[list[bytes], np.ndarray]
Decoder = Callable[[bytes], object]


def decoders(size: int, image: int) -> dict[str, Decoder]:
    """The ways to decode a picture of ``size`` at the smallest scale that is at least ``image``."""
    reduce, side = dct_scale(size, image)
    memory = np.empty(3 * side * side + 2 * VECTOR_BYTES, np.uint8)
    start = -memory.ctypes.data % VECTOR_BYTES
    aligned = memory[start : start + 3 * side * side]
    between = BufferPool().take((side, side, 3))
    scale = {"min_height": side, "min_width": side, "min_factor": reduce}
    return {
        "opencv": lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), REDUCED[reduce]),
        "fresh": lambda data: simplejpeg.decode_jpeg(data, "RGB", **scale),
        "again": lambda data: simplejpeg.decode_jpeg(data, "RGB", buffer=aligned, **scale),
        "between": lambda data: simplejpeg.decode_jpeg(data, "RGB", buffer=between, **scale),
    }


def floor(episodes: list[Episode], bytes_: Iterator[int], decode: Decoder) -> None:
    """Per episode read a sample's bytes and decode the frames."""
    for jpegs, _ in episodes:
        next(bytes_)
        for jpeg in jpegs:
            decode(jpeg)


def drawing(episodes: list[Episode], size: int, image: int) -> None:
    """Draw every episode's landmarks on the same images."""
    canvas = np.empty((len(episodes[0][0]), image, image, 3), np.uint8)
    for _, landmarks in episodes:
        draw_landmarks(rescale_landmarks(landmarks, size, image), image, canvas)


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
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    plan = plan_data(DataFolder(options.data), workers=0)
    size = plan.card.spec.size
    for name, (image, frames, batch) in CASES.items():
        stream = EpisodeStream(
            plan.shards, crop_size=size, image_size=image, frames=frames, batch=batch, seed=0
        )
        count = plan.samples // batch  # a whole epoch: the shuffle buffer is filled in bursts
        walked = list(itertools.islice(stream.episodes(0, 1), plan.samples + count * batch))
        episodes = [(each.jpegs(), each.landmarks()) for each in walked[-count * batch :]]
        batches, walk = iter(stream), read_bytes(plan)
        works: dict[str, Callable[[], None]] = {
            key: lambda e=episodes, w=walk, d=decode: floor(e, w, d)
            for key, decode in decoders(size, image).items()
        }
        floors = list(works)
        works["loader"] = lambda b=batches, n=count: take(b, n)
        works["drawing"] = lambda e=episodes, i=image: drawing(e, size, i)
        for work in works.values():
            work()
        took: dict[str, list[float]] = {key: [] for key in works}
        for i in range(options.rounds):
            for key in sorted(works, reverse=bool(i % 2)):
                took[key].append(seconds(works[key]))
        costs = {key: statistics.median(times) for key, times in took.items()}
        best = min(floors, key=costs.__getitem__)
        drawn = [a + b for a, b in zip(took[best], took["drawing"], strict=True)]
        each = ", ".join(f"{key} {1e3 * cost / len(episodes):.2f}" for key, cost in costs.items())
        print(
            f"{name:6s} {image} px, K {frames}: {shares(took[best], took['loader'])} of the floor "
            f"({best}), {shares(drawn, took['loader'])} of the floor with drawing, "
            f"{shares(took['opencv'], took['loader'])} of OpenCV's floor\n"
            f"       ms per episode: {each}",
            flush=True,
        )


if __name__ == "__main__":
    main()
