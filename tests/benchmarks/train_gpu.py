"""What a GPU makes of training, in one call on one card; a CPU run proves that the script works.

    python tests/benchmarks/train_gpu.py DATA [--preset paper] [--batch 8] [--minutes 8]
    python tests/benchmarks/train_gpu.py DATA --device cpu --preset nano --batch 1 --rounds 2 \
        --backend aot_eager

First the rate of one big matrix product and of one convolution in bf16 and fp32, and the loader's.
Then a table of variants of the step, each in turn and each measured alone: plain eager fp32
(:mod:`plain_step`), fsh's step in fp32, in bf16 with channels-last memory, the same compiled, the
same as CUDA graphs. What does not work is a line with its reason; what does not fit into
``--minutes`` is not begun (compiling itself is not cut short). Shares are of the product's rate in
the variant's own precision.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from plain_step import PlainStep
from torch.utils.flop_counter import FlopCounterMode
from train_speed import fsh_step, product, started, timed

from fsh.schemas.places.layout import DataFolder
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.episodes import EpisodeStream
from fsh.trainer.data.loader import loader
from fsh.trainer.data.plan import plan_data
from fsh.trainer.presets import resolve
from fsh.trainer.training.content import load_content

#: Name, whether it is the plain step, precision, torch.compile.
VARIANTS = (
    ("plain eager", True, "fp32", "off"),
    ("fsh", False, "fp32", "off"),
    ("fsh", False, "bf16", "off"),
    ("fsh, compiled", False, "bf16", "on"),
    ("fsh, CUDA graphs", False, "bf16", "graphs"),
)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Lines:
    """A Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self, what: str, total: float | None, unit: str, done: float = 0) -> None: ...

    def advance(self, amount: float = 1, note: str = "") -> None: ...

    def say(self, line: str) -> None:
        self.said.append(line)

    def stop(self) -> None: ...


def rates(device: str, precision: str) -> tuple[float, str]:
    """Operations per second of a product; in words, with the commonest convolution's too."""
    small, dtype = device == "cpu", DTYPES[precision]
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
    product_rate, convolution = (count / took for count, took in zip(counts, best, strict=True))
    words = f"product {product_rate / 1e12:.2f} TFLOP/s, 3x3 convolution {convolution / 1e12:.2f}"
    return product_rate, f"{precision}: {words}"


def loading(data: Path, config: TrainConfig, batches: int) -> str:
    plan = plan_data(DataFolder(data), workers=config.workers)
    stream = EpisodeStream(
        plan.shards,
        crop_size=plan.card.spec.size,
        image_size=config.network.size,
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


def variant(
    data: Path,
    config: TrainConfig,
    plain: bool,
    rounds: int,
    until: float,
    peak: float,
    flops: int,
    backend: str,
) -> tuple[str, int]:
    """One line of the table, and the operations of a step."""
    told, device = Lines(), config.device
    content, _ = load_content(config, told)
    session, episodes = started(data, config)
    step: Callable = (
        PlainStep(config, session.model, content)
        if plain
        else fsh_step(session, content, told, backend)
    )
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    told.said.clear()
    begun = time.perf_counter()
    if plain:
        with FlopCounterMode(display=False) as counter:
            step(episodes)
        flops = counter.get_total_flops()
    for _ in range(3):  # compiled, chosen, recorded
        step(episodes)
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter() - begun
    took: list[float] = []
    while len(took) < rounds and (len(took) < 3 or time.perf_counter() < until):
        took.append(timed(lambda: step(episodes), device))
    seconds = statistics.median(took)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else float("nan")
    note = told.said[0][:60] if told.said else ""
    line = f"{seconds * 1e3:9.1f} {config.batch / seconds:11.1f} {flops / seconds / peak:7.0%}"
    return f"{line} {memory:8.1f} {start:7.1f}  {note}", flops


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    options = parser.parse_args()
    until = time.perf_counter() + 60 * options.minutes
    given = {"batch": options.batch, "workers": options.workers}
    config = resolve(options.preset, options.device, steps=1, reference=False, **given)
    peaks = {}
    for precision in DTYPES:
        peaks[precision], words = rates(config.device, precision)
        print(words, flush=True)
    print(loading(options.data, config, 2 * options.rounds), flush=True)
    print(f"{config.preset}, {config.network.size} px, batch {config.batch}, K {config.frames}")
    heads = "      ms  episodes/s  matrix      GiB  start s"
    print(f"{'':18s} {'':4s} {heads}", flush=True)
    flops = 0
    for i, (name, plain, precision, how) in enumerate(VARIANTS):
        left, remaining = until - time.perf_counter(), len(VARIANTS) - i
        title = f"{name:18s} {precision}"
        if left <= 0:
            print(f"{title} not begun: {options.minutes:g} minutes are over", flush=True)
            continue
        own = dataclasses.replace(config, precision=precision, compile=how)
        share = time.perf_counter() + left / remaining
        try:
            args = (options.rounds, share, peaks[precision], flops, options.backend)
            line, flops = variant(options.data, own, plain, *args)
        except (RuntimeError, AssertionError) as error:
            line = f"failed: {' '.join(str(error).split())[:80]}"
        print(f"{title} {line}", flush=True)
        if options.device != "cpu":
            torch.cuda.empty_cache()
        torch.compiler.reset()


if __name__ == "__main__":
    main()
