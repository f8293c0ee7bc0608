"""Whether a mouth opens, and eyes shut, that the only photo shows otherwise, on unseen people.

    python tests/benchmarks/opening_mouths.py DATA RUN [--identities 9] [--held 32]
        [--opening 0] [--picture strips.png]

Of each test identity the input frame with the mouth most shut (or, with --opening, open nearest to
that: at 0.15 most show teeth), and for the lids the one with the eyes most open, is the one photo.
Its held-out frames are drawn of it, feed-forward, and by the photo bent by its mesh. Given are
slope and correlation of the drawn opening (heights over widths, as the landmark backend finds it)
over the true one, over all frames of a person whose mouth (or lids) moves; and the mean absolute
difference of the pixels between the lips from the true ones.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from expressions import opened, slope
from PIL import Image

from fsh.face_analysis import DetectorFaceAnalyzer
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import found
from fsh.schemas.faces.mesh import LOWER_LIP, UPPER_LIP
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.trainer.evaluation.baselines import MeshBentPhoto
from fsh.trainer.evaluation.subjects import subjects_of_split
from fsh.trainer.evaluation.systems import systems_of
from fsh.trainer.runs import Run

#: Standard deviation of the true opening below which a person's mouth or lids hardly move.
LEAST_MOTION = (0.05, 0.04)
NAMES = ("mouth", "lids")


def between_lips(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """The pixels (N, 3) between the inner lips, at least one high."""
    rim = mesh[[*UPPER_LIP, *reversed(LOWER_LIP)], :2].round().astype(np.int32)
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [rim], 1)
    return picture[inside > 0].astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--identities", type=int)
    parser.add_argument("--held", type=int, default=32)
    parser.add_argument("--opening", type=float, default=0.0, help="of the photo's mouth")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    run = Run.read(options.run, Silent())
    people = subjects_of_split(DataFolder(options.data), run.spec, held_out=options.held)
    analyzer = DetectorFaceAnalyzer(run.spec)
    systems = [systems_of(run, lambda _: 0, Silent())[0], MeshBentPhoto()]
    values: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    colors: dict[str, list[float]] = defaultdict(list)
    strips = []
    for person in people[: options.identities]:
        frames = person.load()
        inputs, target = map(analyzer.look_again, (frames.inputs, frames.held_out))
        assert inputs.mesh is not None and target.mesh is not None
        own, true = opened(inputs.mesh), opened(target.mesh)
        faces = FaceLandmarks(target.landmarks, target.mesh)
        mouth = np.abs(own[:, 0] - options.opening).argmin()
        for column, photo in enumerate((mouth, own[:, 1].argmax())):
            if true[:, column].std() < LEAST_MOTION[column]:
                continue
            shown = [0, *np.argsort(true[:, column])[[-1, -4, len(true) // 2]]]
            rows = [inputs.frames[photo], *target.frames[shown[1:]]]
            for system in systems:
                drawn = system.fit(inputs.take([int(photo)]))(faces)
                meshes = analyzer.analyze(drawn, target.landmarks).landmarks.mesh
                seen = found(meshes)
                measured = opened(meshes[seen])[:, column]
                values[system.name, NAMES[column]].append(slope(true[seen, column], measured))
                rows += [*drawn[shown[1:]]]
                if column == 0:
                    for one, picture, mesh in zip(drawn, target.frames, target.mesh, strict=True):
                        wanted = between_lips(picture, mesh)
                        if len(wanted):
                            gap = np.abs(between_lips(one, mesh) - wanted).mean()
                            colors[system.name].append(float(gap))
            strips.append(np.concatenate(rows, axis=1))
    print("| system | what | people | slope, median (least) | r, median (least) |")
    print("| --- | --- | --- | --- | --- |")
    for (system, what), pairs in values.items():
        slopes, alike = np.array(pairs).T
        cells = [f"{np.median(x):.2f} ({x.min():.2f})" for x in (slopes, alike)]
        print(f"| {system} | {what} | {len(pairs)} | {' | '.join(cells)} |")
    for system, gaps in colors.items():
        print(f"{system}: between the lips {np.mean(gaps):.1f} of 255 from the true color")
    if options.picture:
        Image.fromarray(np.concatenate(strips)).save(options.picture)


if __name__ == "__main__":
    main()
