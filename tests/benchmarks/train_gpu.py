"""What a GPU makes of training, in one run on one card; runs (tiny) on a CPU to prove that it runs.

    python tests/benchmarks/train_gpu.py DATA [--preset paper] [--batch 8] [--workers 8]
    python tests/benchmarks/train_gpu.py DATA --device cpu --preset nano --rounds 2

Prints the rate of one big matrix product and of one convolution in the run's precision; fsh's step
and plain eager fp32's side by side (:mod:`train_speed`); the loader's rate; peak memory.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import torch
from train_speed import compare, product, timed

from fsh.schemas.layout import DataFolder
from fsh.trainer.config import TrainConfig, resolve
from fsh.trainer.data import plan_data
from fsh.trainer.episodes import EpisodeStream
from fsh.trainer.loader import loader


def rates(config: TrainConfig) -> str:
    """Operations per second of a product and of the networks' commonest convolution."""
    device, small = config.device, config.device == "cpu"
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    side, channels, batch = (1024, 64, 2) if small else (8192, 512, 64)
    multiply = product(device, dtype, side)
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
    layer = layer.to(memory_format=torch.channels_last)
    x = torch.randn(batch, channels, 32, 32, device=device, dtype=dtype)
    x = x.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def convolve() -> None:
        layer(x)

    for work in (multiply, convolve):
        timed(work, device)
    best = [min(timed(work, device) for _ in range(10)) for work in (multiply, convolve)]
    counts = (2 * side**3, 2 * 9 * channels**2 * x[:, 0].numel())
    shown = [f"{count / seconds / 1e12:.2f}" for count, seconds in zip(counts, best, strict=True)]
    return f"{dtype}: product {shown[0]} TFLOP/s, 3x3 convolution {shown[1]} TFLOP/s"


def loading(data: Path, config: TrainConfig, batches: int) -> str:
    plan = plan_data(DataFolder(data), workers=config.workers)
    stream = EpisodeStream(
        plan.shards,
        size=plan.card.spec.size,
        image=config.network.size,
        frames=config.frames,
        batch=config.batch,
        seed=0,
    )
    found = loader(stream, plan.workers, pin=config.device != "cpu")
    list(itertools.islice(found, 4))  # processes started, shuffle buffers full
    begun = time.perf_counter()
    list(itertools.islice(found, batches))
    rate = batches * config.batch / (time.perf_counter() - begun)
    return f"loader: {rate:.0f} episodes/s with {plan.workers} processes"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    given = {"batch": options.batch, "workers": options.workers}
    config = resolve(options.preset, options.device, steps=1, **given)
    print(rates(config), flush=True)
    print(compare(options.data, config, options.rounds), flush=True)
    if options.device != "cpu":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB, both steps held")
    print(loading(options.data, config, 10 * options.rounds), flush=True)


if __name__ == "__main__":
    main()
