"""Make README's film: one row for each portrait, of photo, landmarks and the drawn portrait.

    python docs/picture.py RUN DRIVER PORTRAIT … [--seconds 4] [-o docs/film.webp]

An animated WebP, which browsers show and GitHub plays. The driver is shown as landmarks only.
Portraits have to be free to publish: the film in this repository is made of NASA's of Eileen
Collins (scikit-image's ``astronaut``) and of the Mona Lisa, with a driver who makes faces.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import fsh
from fsh.cli.console import progress
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.inputs.driver import read_driver
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.landmarks import mouth_opening
from fsh.trainer.data.landmark_images import draw_landmarks
from fsh.trainer.data.pictures import resized
from fsh.trainer.person.mesh_transfer import transfer_mesh
from fsh.trainer.person.motion_transfer import fill_gaps
from fsh.trainer.person.person import Person
from fsh.trainer.person.photo_references import faces_of

#: Side of one picture, pixels; pictures a second; the quality that WebP is told.
SIDE, RATE, QUALITY = 224, 12.5, 72


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("driver", type=Path)
    parser.add_argument("portraits", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "film.webp")
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
            rows.append(film(person, driver, options.seconds))
    pictures = [Image.fromarray(np.vstack(parts)) for parts in zip(*rows, strict=True)]
    pictures[0].save(
        options.output,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / RATE),
        loop=0,
        quality=QUALITY,
        method=6,
    )


def film(person: Person, driver: FaceClip, seconds: float) -> list[np.ndarray]:
    """Photo, landmarks and drawing side by side, of the driver's liveliest seconds."""
    mesh, _ = fill_gaps(driver.mesh, driver.times)
    faces = faces_of(transfer_mesh(mesh, driver.times, person.mesh))
    wanted = driver.times[0] + np.arange(0, driver.times[-1] - driver.times[0], 1 / RATE)
    rows = np.searchsorted(driver.times, wanted).clip(0, len(driver.times) - 1)
    count = min(len(rows), round(seconds * RATE))
    motion = np.abs(np.diff(mouth_opening(faces.points[rows]), prepend=0))
    motion[0] = 0
    first = int(np.convolve(motion, np.ones(count), "valid").argmax())
    some = faces[rows[first : first + count]]
    drawn, lines = person.draw(some), draw_landmarks(some.points, person.spec.size)
    photo = small(to_uint8(person.references.pictures[person.references.still]))
    return [np.hstack([photo, small(a), small(b)]) for a, b in zip(lines, drawn, strict=True)]


def small(picture: np.ndarray) -> np.ndarray:
    return resized(picture, SIDE)


def to_uint8(image) -> np.ndarray:
    return ((image.permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8)


if __name__ == "__main__":
    main()
