"""Size of a data set and speed of the loader, in layout 1 (a member per frame) and layout 2.

    python tests/benchmarks/layout.py DATA [--rounds 9]

The shards of DATA, which are in layout 2, are copied to a temporary folder in both layouts. Per
preset, both are read by the trainer's loader in one thread, in turn, from warm caches: medians of
the CPU time per episode, and of their share with the spread. Then the walk through a shard that the
first epoch begins with, and a whole read with ``webdataset``.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
from webdataset.compat import WebDataset

from fsh.schemas.places.layout import DataFolder
from fsh.trainer.data.episodes import EpisodeStream
from fsh.trainer.data.plan import plan_data
from fsh.trainer.data.shard_index import ShardIndex

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from old_layout import to_old_layout

#: Name: side of the pictures, source frames, episodes per batch.
CASES = {"paper": (256, 8, 1), "small": (128, 8, 4), "nano": (64, 2, 4)}


def seconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def compared(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, in turn and in turned order."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for number in range(rounds):
        for name in sorted(works, reverse=bool(number % 2)):
            took[name].append(seconds(works[name]))
    return took


def told(name: str, took: dict[str, list[float]], count: int) -> None:
    shares = sorted(new / old for old, new in zip(took["1"], took["2"], strict=True))
    each = " → ".join(f"{1e3 * statistics.median(took[one]) / count:.3f}" for one in ("1", "2"))
    spread = f"{shares[0]:.2f} to {shares[-1]:.2f}"
    print(f"{name:28s} {each} ms each, × {statistics.median(shares):.3f} ({spread})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    plan = plan_data(DataFolder(options.data), workers=0)
    size = plan.card.spec.size
    with tempfile.TemporaryDirectory() as folder:
        shards: dict[str, list[str]] = {"1": [], "2": []}
        for layout, paths in shards.items():
            for shard in plan.shards:
                path = Path(folder) / layout / Path(shard).name
                path.parent.mkdir(exist_ok=True)
                shutil.copyfile(shard, path)
                if layout == "1":
                    to_old_layout(path)
                paths.append(str(path))
        sizes = {name: sum(Path(p).stat().st_size for p in paths) for name, paths in shards.items()}
        share = sizes["2"] / sizes["1"]
        print(f"{sizes['1']:,} → {sizes['2']:,} bytes, × {share:.4f}, {plan.samples} samples")
        for name, (image, frames, batch) in CASES.items():
            count = plan.samples // batch
            streams = {
                layout: iter(
                    EpisodeStream(
                        paths,
                        crop_size=size,
                        image_size=image,
                        frames=frames,
                        batch=batch,
                        seed=0,
                    )
                )
                for layout, paths in shards.items()
            }
            works = {
                layout: lambda b=stream, n=count: [None for _ in itertools.islice(b, n)]
                for layout, stream in streams.items()
            }
            told(f"loader, {name}, per episode", compared(works, options.rounds), count * batch)
        index = {
            layout: lambda p=paths: [ShardIndex().open(path) for path in p]
            for layout, paths in shards.items()
        }
        told("first walk, per sample", compared(index, options.rounds), plan.samples)
        whole = {
            layout: lambda p=paths: [None for _ in WebDataset(p, shardshuffle=False)]
            for layout, paths in shards.items()
        }
        told("webdataset, per sample", compared(whole, 3), plan.samples)


if __name__ == "__main__":
    main()
