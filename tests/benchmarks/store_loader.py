"""The loader on an object store against the loader on a folder, with the same data set.

    python tests/benchmarks/store_loader.py DATA [--rounds 9]

A real S3 server on loopback (versitygw) serves a copy of the data set; nothing of it is here yet.
Prints the time of the first epoch, in which every shard is fetched, and then, epochs of both in
turn, the loader's share of the folder's rate: medians of wall clock and of CPU time, their spread.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import cv2
from loader import shares
from object_store import copy_folder, s3_server, using

from fsh.data_places import data_folder
from fsh.schemas.places.layout import DataFolder
from fsh.trainer.data.episodes import Batch, EpisodeStream
from fsh.trainer.data.plan import plan_data

#: Side of the pictures, source frames, episodes per batch: of the preset ``small``.
IMAGE, FRAMES, BATCH = 128, 8, 4


def batches(data: DataFolder) -> tuple[Iterator[Batch], int]:
    """The batches of a data set, and how many there are in an epoch."""
    plan = plan_data(data, workers=0)
    shape = {"image_size": IMAGE, "frames": FRAMES, "batch": BATCH, "seed": 0}
    size = plan.card.spec.size
    stream = EpisodeStream(plan.shards, crop_size=size, opener=plan.opener, **shape)
    return iter(stream.batches()), plan.samples // BATCH


def epoch(of: Iterator[Batch], count: int) -> tuple[float, float]:
    """Seconds of wall clock and of CPU that so many batches take."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in itertools.islice(of, count):
        pass
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        s3_server(Path(folder) / "served") as port,
        using(port, Path(folder) / "cache"),
    ):
        local, count = batches(DataFolder(options.data))
        epoch(local, count)
        address = copy_folder(options.data, Path(folder) / "served", "set")
        remote, _ = batches(data_folder(address))
        first, _ = epoch(remote, count)
        times: dict[str, list[tuple[float, float]]] = {"here": [], "there": []}
        for i in range(options.rounds):
            for side in sorted(times, reverse=bool(i % 2)):
                times[side].append(epoch(local if side == "here" else remote, count))
    walls, cpus = ([[t[n] for t in times[side]] for side in ("here", "there")] for n in (0, 1))
    each = 1e3 * statistics.median(walls[0]) / (count * BATCH)
    print(f"first epoch, every shard fetched: {first:.2f} s; a folder's: {walls[0][0]:.2f} s")
    print(f"warm: {shares(*walls)} of the folder's rate, {shares(*cpus)} in CPU time")
    print(f"      {each:.2f} ms per episode from a folder")


if __name__ == "__main__":
    main()
