"""Make README's picture: portraits, landmarks, and the drawn portraits, one row each.

    python docs/picture.py RUN DRIVER PORTRAIT … [-o docs/film.jpg]

The driver is shown as landmarks only. Portraits have to be free to publish: the picture in this
repository is made of NASA's of Eileen Collins (scikit-image's ``astronaut``) and of the Mona Lisa,
with the demo's driving clip.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import fsh
from fsh.cli.console import progress
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.inputs.driver import read_driver
from fsh.schemas.faces.landmarks import mouth_opening
from fsh.trainer.data.landmark_images import draw_landmarks
from fsh.trainer.person.mesh_transfer import transfer_mesh
from fsh.trainer.person.motion_transfer import fill_gaps
from fsh.trainer.person.person import Person
from fsh.trainer.person.photo_references import faces_of

SIDE, COLUMNS = 176, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("driver", type=Path)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "film.jpg")
    options = parser.parse_args()
    with progress() as bar, tempfile.TemporaryDirectory() as folder:
        rows = []
        for portrait in options.portraits:
            made = fsh.personalize(
                photos=portrait,
                run=options.run,
                person=Path(folder) / portrait.stem,
                progress=bar,
            )
            person = Person.load(made.folder)
            driver = read_driver(options.driver, person.spec, load_backend("mediapipe"), bar)
            mesh, _ = fill_gaps(driver.mesh, driver.times)
            faces = faces_of(transfer_mesh(mesh, driver.times, person.mesh))
            order = np.argsort(mouth_opening(faces.points))
            chosen = np.sort(order[np.linspace(0, len(order) - 1, COLUMNS).astype(int)])
            some = faces[chosen]
            drawn, lines = person.draw(some), draw_landmarks(some.points, person.spec.size)
            pairs = [np.vstack([small(a), small(b)]) for a, b in zip(lines, drawn, strict=True)]
            photo = to_uint8(person.references.pictures[person.references.still])
            rows.append(np.hstack([cv2.copyMakeBorder(small(photo), *framed()), *pairs]))
        Image.fromarray(np.vstack(rows)).save(options.output, quality=88, optimize=True)


def small(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def to_uint8(image) -> np.ndarray:
    return ((image.permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8)


def framed() -> tuple[int, int, int, int, int]:
    """A photo in the middle of a column of two pictures: above, below, left, right, how."""
    return SIDE // 2, SIDE - SIDE // 2, 0, 0, cv2.BORDER_CONSTANT


if __name__ == "__main__":
    main()
