"""Whether eyes look where the driver's do, when the only photo looks elsewhere, on unseen people.

    python tests/benchmarks/looking_eyes.py DATA RUN [RUN …] [--identities 9] [--held 32]
        [--picture strips.png]

Of each test identity the input frames that look most to the left, and most upwards, are each the
one photo. The held-out frames are drawn of it, feed-forward, by every run (so one with ``--gaze``
and one without can be compared), and by the photo bent by its mesh. Given are slope and
correlation of the drawn direction (:func:`fsh.schemas.faces.mesh.gaze`) over the true one, over the
frames of each person whose eyes move, and the mean error of the irises' middles, in eye widths.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from expressions import slope
from PIL import Image

from fsh.face_analysis import DetectorFaceAnalyzer
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import found
from fsh.schemas.faces.mesh import IRISES, MESH_EYES, eye_openings, gaze
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.trainer.evaluation.baselines import MeshBentPhoto
from fsh.trainer.evaluation.subjects import subjects_of_split
from fsh.trainer.evaluation.systems import systems_of
from fsh.trainer.runs import Run

#: Standard deviation of a true direction below which a person's eyes hardly move.
LEAST_MOTION = 0.06
#: Opening of the lids below which no iris is to be seen.
OPEN = 0.12
AXES = ("left-right", "up-down")


def iris_errors(drawn: np.ndarray, true: np.ndarray) -> np.ndarray:
    """How far the irises' middles of meshes (N, 478, 3) lie from the true ones, eye widths (N,)."""
    errors = []
    for corners, iris in zip(MESH_EYES, IRISES, strict=True):
        width = np.linalg.norm(true[:, corners[0], :2] - true[:, corners[1], :2], axis=1)
        errors.append(np.linalg.norm(drawn[:, iris, :2] - true[:, iris, :2], axis=1) / width)
    return np.mean(errors, axis=0)


def around_eyes(pictures: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """The eyes of the first mesh, cut out of pictures (N, H, W, 3), 96 × 288 pixels each."""
    corners = mesh[[*MESH_EYES[0], *MESH_EYES[1]], :2].astype(np.float64)
    (x, y), wide = corners.mean(axis=0), np.ptp(corners[:, 0]) * 1.5
    left, top, high = x - wide / 2, y - wide / 6, wide / 3
    rows = slice(max(0, round(top)), round(top + high))
    columns = slice(max(0, round(left)), round(left + wide))
    cut = [cv2.resize(one[rows, columns], (288, 96)) for one in pictures]
    return np.concatenate(cut, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--identities", type=int)
    parser.add_argument("--held", type=int, default=32)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    runs = [Run.read(folder, Silent()) for folder in options.runs]
    systems = [("bent photo (mesh)", MeshBentPhoto(), runs[0].spec)]
    systems += [(run.name, systems_of(run, lambda _: 0, Silent())[0], run.spec) for run in runs]
    analyzer = DetectorFaceAnalyzer(runs[0].spec)
    values: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    strips = []
    people = subjects_of_split(DataFolder(options.data), runs[0].spec, held_out=options.held)
    for person in people[: options.identities]:
        frames = person.load()
        inputs, target = map(analyzer.look_again, (frames.inputs, frames.held_out))
        assert inputs.mesh is not None and target.mesh is not None
        own, true = gaze(inputs.mesh), gaze(target.mesh)
        awake = eye_openings(target.mesh).min(axis=1) > OPEN
        looking = eye_openings(inputs.mesh).min(axis=1) > OPEN
        faces = FaceLandmarks(target.landmarks, target.mesh)
        for axis, what in enumerate(AXES):
            if not looking.any() or awake.sum() < 4 or true[awake, axis].std() < LEAST_MOTION:
                continue
            photo = np.flatnonzero(looking)[own[looking, axis].argmin()]
            order = np.flatnonzero(awake)[np.argsort(true[awake, axis])]
            shown = order[[-1, -2, len(order) // 2, 0]]
            mesh = target.mesh[shown[0]]
            strips.append(around_eyes(target.frames[shown], mesh))
            for name, system, spec in systems:
                photos = replace(inputs.take([int(photo)]), spec=spec)  # irises drawn or not
                drawn = system.fit(photos)(faces)
                meshes = analyzer.analyze(drawn, target.landmarks).landmarks.mesh
                seen = found(meshes) & awake
                values[name, what].append(slope(true[seen, axis], gaze(meshes[seen])[:, axis]))
                errors[name, what].append(
                    float(iris_errors(meshes[seen], target.mesh[seen]).mean())
                )
                strips.append(around_eyes(drawn[shown], mesh))
    print(
        "| system | eyes | people | slope, median (least) | r, median (least) | error, eye widths |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for (name, what), pairs in values.items():
        slopes, alike = np.array(pairs).T
        cells = [f"{np.median(x):.2f} ({x.min():.2f})" for x in (slopes, alike)]
        cells.append(f"{np.mean(errors[name, what]):.3f}")
        print(f"| {name} | {what} | {len(pairs)} | {' | '.join(cells)} |")
    if options.picture:
        Image.fromarray(np.concatenate(strips)).save(options.picture)


if __name__ == "__main__":
    main()
