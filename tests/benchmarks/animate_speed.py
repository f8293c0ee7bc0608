"""How fast people are drawn and made, against what their arithmetic alone would take.

    python tests/benchmarks/animate_speed.py --person people/me --driving talk.mp4 \
        [--run runs/small --photos dir/] [--rounds 7]

Two floors, with as many threads as the drawing: the floating point operations of the generator as
it is trained, at the rate at which this machine multiplies 1024 × 1024 matrices, measured in turn
with the drawing; and its convolutions one by one, each in whichever memory layout is faster.
Presets are those of a CPU, drawn with random weights: arithmetic takes as long. Run it on
an idle machine: a second busy process halves every figure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fsh.schemas.progress import Silent
from fsh.trainer.models.folded_generator import FoldedGenerator
from fsh.trainer.models.networks import Generator, bake, channels_last
from fsh.trainer.presets import resolve

Work = Callable[[], object]


def in_turn(works: dict[str, Work], rounds: int) -> dict[str, float]:
    """Median seconds of each, called in turn after two calls to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 2):
        for name, work in works.items():
            begun = time.perf_counter()
            work()
            if number > 1:
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def operations(network: Work) -> float:
    """Floating point operations of a call."""
    with FlopCounterMode(display=False) as counter:
        network()
    return float(counter.get_total_flops())


def convolutions(network: nn.Module, work: Work, rounds: int) -> float:
    """Seconds that the convolutions of a call take by themselves, in the better layout each."""
    shapes: Counter[tuple[torch.Size, torch.Size]] = Counter()

    def note(layer: nn.Module, inputs: tuple[torch.Tensor], _: object) -> None:
        assert isinstance(layer, nn.Conv2d)
        shapes[(inputs[0].shape, layer.weight.shape)] += 1

    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, nn.Conv2d)]
    work()
    for hook in hooks:
        hook.remove()
    total = 0.0
    for (image, weight), count in shapes.items():
        ways: dict[str, Work] = {}
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.rand(image).contiguous(memory_format=layout)
            w = torch.rand(weight).contiguous(memory_format=layout)
            ways[str(layout)] = lambda x=x, w=w: F.conv2d(x, w, padding=w.shape[2] // 2)
        total += count * min(in_turn(ways, rounds).values())
    return total


def under_onnxruntime(
    drawing: FoldedGenerator, lines: torch.Tensor, threads: int, folder: Path
) -> Work:
    """The same drawing under onnxruntime."""
    import onnxruntime

    from fsh.trainer.person.onnx_export import write_onnx

    path = folder / "drawing.onnx"
    if not path.exists():
        write_onnx(drawing, {"landmarks": lines}, "images", path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda: session.run(None, {"landmarks": lines.numpy()})


@torch.inference_mode()
def drawing_rows(preset: str, rounds: int, folder: Path) -> list[dict]:
    config = resolve(preset, "cpu", reference=False).network
    torch.manual_seed(0)
    plain = channels_last(Generator(config))
    bake(plain).requires_grad_(False)
    psi = plain.project(torch.randn(1, config.embedding))
    folded = FoldedGenerator(plain, psi)
    square = torch.randn(1024, 1024)
    rows = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for batch in (1, 4, 8):
            lines = torch.rand(batch, 3, config.size, config.size)
            works: dict[str, Work] = {
                "generator": lambda lines=lines: plain(lines, psi),
                "folded": lambda lines=lines: folded(lines),
                "matrix": lambda: square @ square,
            }
            with suppress(ImportError):
                works["onnxruntime"] = under_onnxruntime(folded, lines, threads, folder)
            taken = in_turn(works, rounds)
            rate = 2 * 1024**3 / taken.pop("matrix")
            about = {"preset": preset, "threads": threads, "batch": batch, "gflops": rate / 1e9}
            about["floor"] = 1e3 * operations(works["generator"]) / rate / batch
            about["convolutions"] = 1e3 * convolutions(plain, works["generator"], rounds) / batch
            for name, seconds in taken.items():
                rows.append({**about, "way": name, "ms": 1e3 * seconds / batch})
    return rows


def end_to_end(person: Path, driving: Path, rounds: int) -> list[dict]:
    rows = []
    for _ in range(rounds):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "fsh.cli", "animate", "--person", str(person)]
            command += ["--driving", str(driving), "-o", f"{folder}/o.mp4", "--json", "-q"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        row = {k: told[k] for k in ("frames", "generator_fps", "end_to_end_fps", "seconds")}
        rows.append({**row, "with_start_fps": row["frames"] / (time.perf_counter() - begun)})
    return rows


def personalising(run: Path, photos: Path) -> dict:
    from fsh.face_analysis import DetectorFaceAnalyzer
    from fsh.pipeline.inputs.photos import prepare_photos
    from fsh.pipeline.media.pictures import photo_paths
    from fsh.trainer.person.personalize import personalize
    from fsh.trainer.runs import Run

    networks = Run.read(run).require_personalizable().load_networks()
    analyzer = DetectorFaceAnalyzer(networks.spec)
    paths = photo_paths(photos)[:8]
    clip, _ = prepare_photos(paths, networks.spec, backend=analyzer.backend, progress=Silent())
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = personalize(
            networks,
            clip,
            Path(folder) / "person",
            progress=Silent(),
            analyzer=analyzer,
        )
    seconds = time.perf_counter() - begun
    return {"photos": report.photos, "steps": report.steps, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--person", type=Path)
    parser.add_argument("--driving", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--presets", nargs="*", default=["nano", "small"])
    chosen = parser.parse_args()
    for preset in chosen.presets:
        with tempfile.TemporaryDirectory() as folder:
            rows = drawing_rows(preset, chosen.rounds, Path(folder))
        for row in rows:
            row["of"] = row["ms"] / row["floor"]
            print(
                "{preset:5} {threads} threads, batch {batch}: {way:11} {ms:6.2f} ms a frame, "
                "{of:.2f} of the floor of {floor:.2f} (at {gflops:.0f} GFLOP/s); its convolutions "
                "alone {convolutions:.2f}".format(**row),
                flush=True,
            )
    if chosen.person and chosen.driving:
        rows = end_to_end(chosen.person, chosen.driving, min(3, chosen.rounds))
        for row in rows:
            print("animate: " + json.dumps(row), flush=True)
        for key in ("end_to_end_fps", "with_start_fps"):
            print(f"animate: median {key} {statistics.median(row[key] for row in rows):.1f}")
    if chosen.run and chosen.photos:
        print("personalize: " + json.dumps(personalising(chosen.run, chosen.photos)))


if __name__ == "__main__":
    main()
