"""Whether a weave of a few pixels lies over what a run's networks draw.

    python tests/benchmarks/weave.py DATA RUN [RUN ...] [--held 16] [--shots 8]

People never trained on are drawn by the networks alone, and how strong stripes along rows and
columns are in their pictures, at periods of a few pixels, is compared with the true pictures': in
brightness, and in color (red less green), where a weave shows first. 1 is as in the true pictures.
Meant for runs without references, all of whose picture is paint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fsh.cli.console import progress
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.places.layout import DataFolder
from fsh.trainer.data.pictures import resized
from fsh.trainer.evaluation.subjects import choose_shots, subjects_of_split
from fsh.trainer.evaluation.systems import systems_of
from fsh.trainer.runs import Run

#: Shortest and longest period of a band, pixels.
BANDS = ((2.0, 2.7), (2.7, 4.5), (4.5, 9.0))


def stripes(values: np.ndarray) -> np.ndarray:
    """Power of stripes along rows and columns of N pictures (N, S, S), by waves a picture."""
    side = values.shape[1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    centred = (values - values.mean((1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(centred)) ** 2).mean(0)
    return (power[0] + power[:, 0])[: side // 2 + 1]


def weave(drawn: np.ndarray, true: np.ndarray) -> str:
    """Of pictures (N, S, S, 3): strength of stripes over the true pictures', by kind and band."""
    kinds = {"brightness": (1 / 3, 1 / 3, 1 / 3), "color": (1.0, -1.0, 0.0)}
    side, found = drawn.shape[1], []
    for kind, weights in kinds.items():
        made, wanted = (stripes(part.astype(np.float64) @ weights) for part in (drawn, true))
        for short, long in BANDS:
            band = slice(round(side / long), round(side / short) + 1)
            ratio = np.sqrt(made[band].sum() / wanted[band].sum())
            found.append(f"{kind} {short:g}–{long:g} px: {ratio:.2f}")
    return "  ".join(found)


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
            print(f"{path}: {weave(np.stack(drawn), np.stack(true))}  ({len(drawn)} pictures)")


if __name__ == "__main__":
    main()
