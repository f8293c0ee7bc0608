"""Whether a weave of a few pixels lies over what a run's networks draw.

    python tests/benchmarks/weave.py DATA RUN [RUN ...] [--held 16] [--shots 8]

People never trained on are drawn, and their pictures' power at periods of 2, 4 and 8 pixels, along
rows, columns and both, is compared with that at periods beside (a fifth shorter and longer): 1 is
no weave, and the true pictures' own numbers stand beside. Made for runs without references, all of
whose picture is paint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fsh.cli.console import progress
from fsh.schemas.face_landmarks import FaceLandmarks
from fsh.schemas.layout import DataFolder
from fsh.trainer.evaluation.baselines import resized
from fsh.trainer.evaluation.subjects import choose_shots, subjects_of_split
from fsh.trainer.evaluation.systems import systems_of
from fsh.trainer.runs import Run

PERIODS = (2, 4, 8)


def weave(pictures: np.ndarray) -> dict[int, float]:
    """Of pictures (N, S, S, 3): by period, power at it over the power beside it."""
    gray = pictures.astype(np.float64).mean(3)
    side = gray.shape[1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    centred = (gray - gray.mean((1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(centred)) ** 2).mean(0)
    lines = np.stack([power[0], power[:, 0], power.diagonal()])
    found = {}
    for period in PERIODS:
        at = side / period
        beside = [round(at / 1.2), round(at * 1.2) if period > 2 else round(at / 1.1)]
        found[period] = float((lines[:, round(at)] / lines[:, beside].mean(1)).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--held", type=int, default=16)
    parser.add_argument("--shots", type=int, default=8)
    options = parser.parse_args()
    with progress() as bar:
        for path in options.runs:
            run = Run.read(path, bar)
            side = run.config.network.size
            own = systems_of(run, lambda _: 0, bar)[0]
            drawn, true = [], []
            for subject in subjects_of_split(
                DataFolder(options.data), run.spec, held_out=options.held
            ):
                frames = subject.load()
                rows = choose_shots(subject.identity, len(frames.inputs), options.shots, 0)
                draw = own.fit(frames.inputs.take(rows))
                pictures = draw(FaceLandmarks(frames.held_out.landmarks, frames.held_out.mesh))
                drawn += [resized(picture, side) for picture in pictures]
                true += [resized(picture, side) for picture in frames.held_out.frames]
            for name, some in ((str(path), drawn), ("true", true)):
                shown = "  ".join(f"{k} px: {v:.2f}" for k, v in weave(np.stack(some)).items())
                print(f"{name:40s} {shown}  ({len(some)} pictures)")


if __name__ == "__main__":
    main()
