"""How much of a driver's mouth and lids arrives in a person's film.

    python tests/benchmarks/expressions.py people/mona people/einstein --driving a.mp4 b.mp4 \
        [--frames 250] [--picture strips.png]

For each person and driver the slope and the correlation, over the film's frames, of how far the
drawn mouth is open against how far the driver's is, and of the lids as well; both as heights over
widths. "asked" is what the drawing was told to show, "drawn" what the landmark backend finds in the
drawn pictures. A slope of 1 is all of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.landmarks import face_box
from fsh.pipeline.inputs.driver import read_driver
from fsh.schemas.faces.landmarks import found
from fsh.schemas.progress import Silent
from fsh.trainer.person.mesh_transfer import openness, transfer_mesh
from fsh.trainer.person.motion_transfer import fill_gaps
from fsh.trainer.person.person import Person
from fsh.trainer.person.photo_references import faces_of

#: Frames of a strip: from the mouth most shut to the one most open, and the eyes most shut.
_SHARES = (0.0, 0.5, 0.8, 0.95, 1.0)


def opened(meshes: np.ndarray) -> np.ndarray:
    """(N, 2): mouth and lids of meshes (N, 478, 3), heights over widths in the picture."""
    flat = np.array([openness(mesh) for mesh in meshes * np.array([1.0, 1.0, 0.0])])
    return np.column_stack([flat[:, 0], flat[:, 1:].mean(1)])


def slope(wanted: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """The least-squares slope of ``seen`` over ``wanted``, and their correlation."""
    x, y = wanted - wanted.mean(), seen - seen.mean()
    product = float((x * y).sum())
    return product / float((x * x).sum()), product / float(np.sqrt((x * x).sum() * (y * y).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", nargs="+", type=Path)
    parser.add_argument("--driving", nargs="+", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    people = [Person.load(folder) for folder in options.people]
    backend = load_backend("mediapipe")
    strips = []
    print("| driver | person | mouth asked | mouth drawn | r | lids asked | lids drawn | r |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for driving in options.driving:
        driver = read_driver(driving, people[0].spec, backend, Silent())
        assert driver.mesh is not None
        meshes, _ = fill_gaps(driver.mesh[: options.frames], driver.times[: options.frames])
        times = driver.times[: options.frames]
        wanted = opened(meshes)
        order = np.argsort(wanted[:, 0])
        shown = [*order[[round(s * (len(order) - 1)) for s in _SHARES]], wanted[:, 1].argmin()]
        for person in people:
            assert person.mesh is not None
            asked = transfer_mesh(meshes, times, person.mesh)
            faces = faces_of(asked)
            pictures = person.draw(faces)
            drawn = backend.landmarks(pictures, face_box(faces.points)).mesh
            seen = found(drawn)
            cells = []
            for column in (0, 1):
                told, _ = slope(wanted[:, column], opened(asked)[:, column])
                cells += [f"{told:.2f}"]
                cells += [
                    f"{x:.2f}" for x in slope(wanted[seen, column], opened(drawn[seen])[:, column])
                ]
            print(f"| {driving.stem} | {person.name} | {' | '.join(cells)} |", flush=True)
            strips.append(np.concatenate(pictures[shown], axis=1))
    if options.picture:
        Image.fromarray(np.concatenate(strips)).save(options.picture)


if __name__ == "__main__":
    main()
