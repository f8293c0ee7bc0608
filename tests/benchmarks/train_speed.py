"""A training step as ``fsh train`` makes it, against plain eager and against two floors.

    python tests/benchmarks/train_speed.py DATA [--presets nano,small] [--rounds 7] [--cpu-time]

Three things in turn, in every round, on the same episodes: fsh's step (phases, watchdog's numbers
and running average included), :mod:`plain_step`'s, and one big matrix product. The floating-point
operations of a step are counted on fsh's own by torch's FlopCounterMode; their share of the rate of
the product is how close the step comes to the machine. :mod:`alone` then times each of the step's
convolutions and products by itself; no step with these networks is faster than their sum. Medians.
``--cpu-time`` counts CPU seconds of one thread: where others use the machine too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from alone import alone
from plain_step import PlainStep
from torch.utils.flop_counter import FlopCounterMode

from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Progress, Silent
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.plan import plan_data
from fsh.trainer.distributed import Ranks
from fsh.trainer.presets import resolve
from fsh.trainer.training.compilation import INDUCTOR
from fsh.trainer.training.content import load_content
from fsh.trainer.training.episode_feed import open_batches, to_device
from fsh.trainer.training.losses import ContentLoss, Episodes
from fsh.trainer.training.phases import Phases
from fsh.trainer.training.session import Session
from fsh.trainer.training.watchdog import PendingStep, image_statistics


def fsh_step(
    session: Session, content: ContentLoss, progress: Progress, backend: str = INDUCTOR
) -> Callable:
    phases = Phases.for_session(session, content, Ranks(), progress, backend)

    def step(episodes: Episodes) -> dict[str, float] | PendingStep:
        parts, fake = phases.run(episodes)
        session.step += 1
        session.average.update(session.model, session.step)
        statistics = image_statistics(fake, episodes.images)
        pending = PendingStep.stack(session.step, parts, statistics)
        on_cpu = session.config.device == "cpu"
        return {"total": pending.values.sum().item()} if on_cpu else pending

    return step


def product(device: str, dtype: torch.dtype, side: int) -> Callable[[], None]:
    a = torch.randn(side, side, device=device, dtype=dtype)
    b = torch.randn(side, side, device=device, dtype=dtype)
    return lambda: torch.mm(a, b)


def timed(
    work: Callable[[], object], device: str, clock: Callable[[], float] = time.perf_counter
) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    begun = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - begun


def started(data: Path, config: TrainConfig) -> tuple[Session, Episodes]:
    """A new session and one batch on its device."""
    plan = plan_data(DataFolder(data), workers=0)
    session = Session.new(config, plan, {})
    batches = open_batches(plan, session, Ranks())
    episodes = to_device(next(batches), session.model.columns, config)
    batches.close()  # type: ignore[attr-defined]  # the loader's thread has a benchmark of its own
    return session, episodes


def compare(data: Path, config: TrainConfig, rounds: int, clock: Callable[[], float]) -> str:
    device = config.device
    content, _ = load_content(config, Silent())
    session, episodes = started(data, config)
    ours = fsh_step(session, content, Silent())
    plain = PlainStep(config, session.model, content)
    side = 2048 if device == "cpu" else 8192
    dtype = torch.float32 if config.precision == "fp32" else torch.bfloat16
    multiply = product(device, dtype, side)
    with FlopCounterMode(display=False) as counter:
        ours(episodes)
    flops = counter.get_total_flops()
    plain(episodes)
    multiply()
    rows = []
    for i in range(rounds):
        works = [lambda: ours(episodes), lambda: plain(episodes), multiply]
        order = range(3) if i % 2 else reversed(range(3))
        took = {k: timed(works[k], device, clock) for k in order}
        rows.append([took[k] for k in range(3)])
    fast, slow, gemm = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(row[1] / row[0] for row in rows)
    rate = 2 * side**3 / gemm
    heavy = alone(lambda: ours(episodes), lambda work: timed(work, device, clock))
    floor = sum(heavy.values())
    parts = ", ".join(f"{kind} {cost * 1e3:.0f}" for kind, cost in heavy.items())
    return (
        f"{config.preset}, batch {config.batch}, K {config.frames}, {config.precision}: fsh "
        f"{fast * 1e3:.0f} ms, plain eager {slow * 1e3:.0f} ms ({ratio:.2f} times as long); "
        f"{flops / 1e9:.1f} GFLOP a step, {flops / fast / rate:.0%} of the matrix rate "
        f"({rate / 1e9:.0f} GFLOP/s {dtype}); its convolutions and products alone "
        f"{floor * 1e3:.0f} ms ({parts}): a step costs {fast / floor:.2f} times that, plain eager "
        f"{slow / floor:.2f} times"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--presets", default="nano,small")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    if options.cpu_time:
        torch.set_num_threads(1)
    for name in options.presets.split(","):
        print(
            compare(options.data, resolve(name, "cpu", reference=False), options.rounds, clock),
            flush=True,
        )


if __name__ == "__main__":
    main()
