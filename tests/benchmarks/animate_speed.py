"""How fast people are drawn and made, against what their arithmetic alone would take.

    python tests/benchmarks/animate_speed.py --person people/me --driving talk.mp4 \
        [--run runs/small --photos dir/] [--rounds 5]

The floor of drawing is the multiply-adds of the generator's convolutions at the rate at which this
machine multiplies 1024 × 1024 matrices, measured in between, with as many threads. Sizes other than
the person's are drawn with weights nobody trained: arithmetic takes as long. Run it on an idle
machine: a second busy process halves every figure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from fsh.schemas.progress import Silent
from fsh.trainer.config import PRESETS
from fsh.trainer.drawing import Drawing
from fsh.trainer.networks import Generator, bake


def median_of(work: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Median, least and most seconds of some calls after two to warm up."""
    work(), work()
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), min(seconds), max(seconds)


def matrix_rate() -> float:
    """Floating point operations per second of a product of large matrices."""
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / median_of(lambda: a @ a, 5)[0]


def operations(network: nn.Module, lines: torch.Tensor) -> float:
    """Floating point operations of the convolutions for one image."""
    counts: list[float] = []

    def count(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        counts.append(2.0 * out[0].numel() * layer.weight[0].numel())

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    network(lines[:1])
    for hook in hooks:
        hook.remove()
    return sum(counts)


def drawing_rows(preset: str, rounds: int) -> list[dict]:
    config = PRESETS[preset]["network"]
    torch.manual_seed(0)
    generator = bake(Generator(config))
    assert isinstance(generator, Generator)
    psi = generator.project(torch.randn(1, config.embedding)).detach()
    plain = generator.requires_grad_(False).eval()
    folded = Drawing(generator, psi)
    rows = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for batch in (1, 8):
            lines = torch.rand(batch, 3, config.size, config.size)
            with torch.inference_mode():
                floor = operations(folded, lines) / matrix_rate()
                for name in ("generator", "folded"):

                    def work(lines=lines, name=name):
                        return folded(lines) if name == "folded" else plain(lines, psi)

                    middle, least, most = (s / batch for s in median_of(work, rounds))
                    row = {"preset": preset, "way": name, "threads": threads, "batch": batch}
                    row |= {"ms": 1e3 * middle, "least": 1e3 * least, "most": 1e3 * most}
                    rows.append({**row, "floor_ms": 1e3 * floor, "of_floor": floor / middle})
    return rows


def end_to_end(person: Path, driving: Path, rounds: int) -> list[dict]:
    rows = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "fsh.cli", "animate", "--person", str(person)]
            command += ["--driving", str(driving), "-o", f"{folder}/o.mp4", "--json", "-q"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        rows.append({k: told[k] for k in ("frames", "generator_fps", "end_to_end_fps", "seconds")})
    return rows


def personalising(run: Path, photos: Path) -> dict:
    from fsh.cli.personalize import judges_of
    from fsh.pipeline.landmarks import load_backend
    from fsh.pipeline.photos import prepare_photos
    from fsh.pipeline.pictures import photo_paths
    from fsh.trainer.personal import load_trained, personalize

    trained = load_trained(run, Silent())
    backend = load_backend(trained.spec.backend)
    paths = photo_paths(photos)[:8]
    clip, _ = prepare_photos(paths, trained.spec, backend=backend, progress=Silent())
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = personalize(
            trained,
            clip,
            Path(folder) / "person",
            progress=Silent(),
            judges=judges_of(backend),
        )
    seconds = time.perf_counter() - begun
    return {"photos": report.photos, "steps": report.steps, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--person", type=Path)
    parser.add_argument("--driving", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--presets", nargs="*", default=["nano", "small"])
    chosen = parser.parse_args()
    for preset in chosen.presets:
        for row in drawing_rows(preset, chosen.rounds):
            print(
                "{preset:5} {way:9} {threads} threads, batch {batch}: {ms:6.2f} ms a frame "
                "({least:.2f} to {most:.2f}), floor {floor_ms:.2f} ({of_floor:.0%})".format(**row),
                flush=True,
            )
    if chosen.person and chosen.driving:
        rows = end_to_end(chosen.person, chosen.driving, min(3, chosen.rounds))
        for row in rows:
            print("animate: " + json.dumps(row), flush=True)
        fps = statistics.median(row["end_to_end_fps"] for row in rows)
        print(f"animate: median {fps:.1f} frames a second end to end, start of the process aside")
    if chosen.run and chosen.photos:
        print("personalize: " + json.dumps(personalising(chosen.run, chosen.photos)))


if __name__ == "__main__":
    main()
