"""Pose and mouth of landmark backends, on pictures of which it is known how they were changed.

    python tests/benchmarks/pose_scores.py DATA [--crops 300]

A mirrored picture shows the head turned as far to the other side; one that is turned in its plane
shows the same head, tilted by so many degrees more. By how much a backend's answer for the changed
picture differs from what follows of its answer for the picture itself is its own error, twice.
DATA is a data set with meshes; of its crops so many are taken, the turned heads before others.
Prints, for all and for heads turned by more than 20 degrees, medians and 95th percentiles: degrees
of yaw, pitch and roll, and hundredths of the mouth's width by which it is open.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.pose import head_poses
from fsh.schemas.faces.landmarks import mouth_opening
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample import samples_in
from fsh.schemas.shards.tar import open_archive

BACKENDS = ("dlib", "mediapipe")
TILT = 15.0  # degrees, clockwise
TURNED = 20.0  # degrees of yaw


@dataclass(frozen=True)
class Crop:
    """A picture uint8 (H, H, 3), and the face's box in it (4,)."""

    picture: np.ndarray
    box: np.ndarray

    def mirrored(self) -> Crop:
        left, top, right, bottom = self.box
        side = len(self.picture)
        box = np.array([side - right, top, side - left, bottom])
        return Crop(np.ascontiguousarray(self.picture[:, ::-1]), box)

    def tilted(self) -> Crop:
        middle = (self.box[:2] + self.box[2:]) / 2
        matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), -TILT, 1.0)
        size = self.picture.shape[1::-1]
        edge = cv2.BORDER_REPLICATE
        return Crop(cv2.warpAffine(self.picture, matrix, size, borderMode=edge), self.box)


def crops_of(data: DataFolder, most: int) -> list[Crop]:
    """Crops of a data set, one a sample: the most turned third, and others spread over the rest."""
    found: list[tuple[float, Crop]] = []
    for crop, turn in _each(data):
        found.append((turn, crop))
    found.sort(key=lambda one: -one[0])
    turned, rest = found[: most // 3], found[most // 3 :]
    spread = np.linspace(0, len(rest) - 1, min(len(rest), most - len(turned))).astype(int)
    return [crop for _, crop in [*turned, *(rest[i] for i in spread)]]


def _each(data: DataFolder) -> Iterator[tuple[Crop, float]]:
    for path in data.all_shards():
        for sample in samples_in(open_archive(path), path):
            points, mesh = sample.landmarks, sample.mesh
            if mesh is None:
                continue
            turns = np.abs(head_poses(points, sample.info.spec.size, mesh)[:, 0])
            frame = int(turns.argmax())
            jpeg = np.frombuffer(sample.frame(frame), np.uint8)
            picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB)
            low, high = points[frame].min(0), points[frame].max(0)
            yield Crop(picture, np.concatenate([low, high])), float(turns[frame])


def answers(name: str, crops: list[Crop]) -> np.ndarray:
    """(N, 4): yaw, pitch, roll and the mouth's opening by a backend; NaN where it finds no face."""
    backend, rows = load_backend(name), []
    for crop in crops:
        faces = backend.landmarks(crop.picture[None], crop.box[None])
        pose = head_poses(faces.points, len(crop.picture), faces.mesh)[0]
        rows.append([*pose, 100 * mouth_opening(faces.points)[0]])
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--crops", type=int, default=300)
    options = parser.parse_args()
    crops = crops_of(DataFolder(options.data), options.crops)
    found = {}
    for name in BACKENDS:
        as_is = answers(name, crops)
        mirrored = answers(name, [crop.mirrored() for crop in crops]) * [-1, 1, -1, 1]
        tilted = answers(name, [crop.tilted() for crop in crops]) - [0, 0, TILT, 0]
        found[name] = as_is, np.stack([mirrored - as_is, tilted - as_is])
    turned = np.abs(found["mediapipe"][0][:, 0]) > TURNED
    print(f"{len(crops)} crops, {int(turned.sum())} turned by more than {TURNED:g} degrees")
    for which, some in (("all", np.ones(len(crops), bool)), ("turned", turned)):
        for name, (_, errors) in found.items():
            print(f"{which:7} {name:10}", end="")
            for column, what in enumerate(("yaw", "pitch", "roll", "mouth")):
                values = np.abs(errors[:, some, column]).ravel()
                known = values[np.isfinite(values)]
                print(f"  {what} {np.median(known):.2f}/{np.percentile(known, 95):.2f}", end="")
            lost = np.isnan(errors[:, some, 0]).mean()
            print(f"  lost {lost:.1%}")


if __name__ == "__main__":
    main()
