"""What the waiting of PyTorch's threads costs a training step: alone, and beside another program.

    python tests/benchmarks/threads.py DATA [--preset nano] [--seconds 15] [--rounds 3]

One process per setting and round, because GNU OpenMP reads its settings once; settings in turn,
first with the machine alone, then beside one process that computes without end. A row is a
setting: median milliseconds of a step, and how many times the best setting's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

#: Environment per setting: PyTorch's own, waiting briefly, not at all, one thread.
SETTINGS: dict[str, dict[str, str]] = {
    "as PyTorch comes": {},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
BUSY = [sys.executable, "-c", "while True: pass"]


def steps(data: Path, preset: str, seconds: float) -> None:
    """Print the seconds of each step made in so many seconds, after one to warm up."""
    from train_speed import fsh_step, started

    from fsh.schemas.progress import Silent
    from fsh.trainer.presets import resolve
    from fsh.trainer.training.content import load_content

    config = resolve(preset, "cpu")
    content, _ = load_content(config, Silent())
    session, episodes = started(data, config)
    step = fsh_step(session, content, Silent())
    step(episodes)
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        step(episodes)
        print(time.perf_counter() - begun, flush=True)


def measured(options: argparse.Namespace, settings: dict[str, str]) -> list[float]:
    """The steps' seconds in a process of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "OMP_"))}
    command = [sys.executable, __file__, str(options.data), "--preset", options.preset]
    command += ["--seconds", str(options.seconds), "--here"]
    done = subprocess.run(command, env=clean | settings, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--preset", default="nano")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        steps(options.data, options.preset, options.seconds)
        return
    for company in ("alone", "beside a busy process"):
        took: dict[str, list[float]] = {name: [] for name in SETTINGS}
        for _ in range(options.rounds):
            for name, settings in SETTINGS.items():
                busy = None if company == "alone" else subprocess.Popen(BUSY)
                took[name].append(statistics.median(measured(options, settings)))
                if busy:
                    busy.kill()
        best = min(statistics.median(rounds) for rounds in took.values())
        for name, rounds in took.items():
            middle = statistics.median(rounds)
            spread = f"{min(rounds) * 1e3:.0f} to {max(rounds) * 1e3:.0f}"
            print(f"{company}: {name}: {middle * 1e3:.0f} ms ({spread}), {middle / best:.2f}")


if __name__ == "__main__":
    main()
