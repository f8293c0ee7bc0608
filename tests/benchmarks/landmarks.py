"""Landmark backends side by side: tremble, misses, cost, and a sheet to look at.

    python tests/benchmarks/landmarks.py CLIPS… [--frames 150] [--sheet sheet.png]

CLIPS are videos or photos. Faces are found, framed and cropped to 256 pixels as `fsh animate` does,
with dlib's boxes; every backend is given the same crops and boxes. On the sheet dlib's points are
red and MediaPipe's green; its rows are sorted by the turn of the head, as MediaPipe's points show
it.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.crop import box_to_crop
from fsh.pipeline.faces.detection import CnnDetector, FaceDetector
from fsh.pipeline.faces.dlib_landmarks import DlibLandmarks
from fsh.pipeline.faces.pose import head_poses
from fsh.pipeline.inputs.driver import read_driver
from fsh.pipeline.inputs.photo_faces import crop_faces, find_faces
from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import found
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Silent

NAMES = {"dlib": (255, 60, 60), "mediapipe": (60, 255, 60)}
TURNS = (0, 20, 40, 60, 180)  # degrees
PHOTOS = (".jpg", ".jpeg", ".png", ".webp")
TILE, ACROSS = 256, 8
SPEC = FaceSpec()


@dataclass
class Compared:
    """One clip's crops and every backend's points in them.

    Attributes:
        crops: uint8 (N, 256, 256, 3).
        points: by backend, float32 (N, 68, 2).
        seconds: by backend, CPU seconds of all frames together.
        mesh: float32 (N, 478, 3), MediaPipe's.
    """

    crops: np.ndarray
    points: dict[str, np.ndarray]
    seconds: dict[str, float]
    mesh: np.ndarray

    @property
    def bins(self) -> np.ndarray:
        """int (N,): which of TURNS each frame belongs to; -1: unknown."""
        return np.array([bin_of(turn) for turn in self.turn])

    def second_differences(self, name: str) -> np.ndarray:
        """(N - 2,): how far a backend's points tremble around a frame, in widths of the face."""
        points = self.points[name]
        width = np.nanmedian(np.ptp(self.points["dlib"][..., 0], axis=1))
        second = points[2:] - 2 * points[1:-1] + points[:-2]
        return np.linalg.norm(second, axis=2).mean(axis=1) / width

    @property
    def turn(self) -> np.ndarray:
        """(N,) degrees that the head is turned to either side; NaN where MediaPipe finds none."""
        size = self.crops.shape[1]
        return np.abs(head_poses(self.points["mediapipe"], size, self.mesh)[:, 0])


@dataclass
class Recorder(DlibLandmarks):
    """A backend that keeps the crops and boxes that it is asked about; the answers are dlib's."""

    crops: list[np.ndarray] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        DlibLandmarks.__init__(self)

    def landmarks(
        self, images: np.ndarray, boxes: np.ndarray, *, consecutive: bool = False
    ) -> FaceLandmarks:
        if images.ndim == 4:  # the search asks about grey frames
            self.crops.extend(images)
            self.boxes.extend(boxes)
        return DlibLandmarks.landmarks(self, images, boxes, consecutive=consecutive)


def crops_of(path: Path, most: int) -> tuple[np.ndarray, np.ndarray]:
    """A clip's crops (N, 256, 256, 3) and the face's boxes in them (N, 4)."""
    recorder = Recorder()
    if path.suffix.lower() not in PHOTOS:
        read_driver(path, SPEC, recorder, Silent())
        return np.array(recorder.crops[:most]), np.array(recorder.boxes[:most])
    picture = cv2.imread(str(path))
    if picture is None:
        raise FshError("is not a picture", where=path)
    image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    faces = find_faces(image, FaceDetector(), CnnDetector())
    candidates = crop_faces(image, faces, SPEC, DlibLandmarks(), embed=False)
    if not candidates:
        raise FshError("no face found", where=path)
    best = candidates[0]
    return best.frame[None], box_to_crop(best.face.box, best.window, SPEC.size)[None]


def compare(path: Path, most: int) -> Compared:
    crops, boxes = crops_of(path, most)
    points, seconds = {}, {}
    mesh: np.ndarray | None = None
    for name in NAMES:
        backend = load_backend(name)
        backend.landmarks(crops[:1], boxes[:1])
        start = time.process_time()
        faces = backend.landmarks(crops, boxes, consecutive=True)
        seconds[name] = time.process_time() - start
        points[name], mesh = faces.points, faces.mesh if mesh is None else mesh
    assert mesh is not None
    return Compared(crops, points, seconds, mesh)


def bin_of(turn: float) -> int:
    """Which of TURNS an angle belongs to; -1: unknown."""
    return int(np.digitize(turn, TURNS)) - 1 if np.isfinite(turn) else -1


def sheet(results: list[Compared]) -> np.ndarray:
    """Frames by the turn of the head, two rows a bin, spread over the clips."""
    chosen: dict[int, list[np.ndarray]] = defaultdict(list)
    for result in results:
        bins = result.bins
        for number in sorted(set(bins.tolist())):
            rows = np.flatnonzero(bins == number)
            for row in rows[np.linspace(0, len(rows) - 1, min(4, len(rows))).astype(int)]:
                chosen[number].append(drawn(result, int(row)))
    rows = []
    for number in sorted(chosen, key=lambda n: n % 9):  # not found comes last
        tiles = chosen[number]
        spread = np.linspace(0, len(tiles) - 1, min(2 * ACROSS, len(tiles))).astype(int)
        tiles = [tiles[i] for i in spread]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % ACROSS)
        name = f"{TURNS[number]}-{TURNS[number + 1]}" if number >= 0 else "not found by MediaPipe"
        cv2.putText(tiles[0], name, (4, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 0), 1)
        rows += [np.hstack(tiles[i : i + ACROSS]) for i in range(0, len(tiles), ACROSS)]
    return np.vstack(rows)


def drawn(result: Compared, row: int) -> np.ndarray:
    """A crop with every backend's points."""
    picture = cv2.resize(result.crops[row], (TILE, TILE))
    for name, colour in NAMES.items():
        points = result.points[name][row]
        if np.isfinite(points).all():
            for x, y in (points + 0.5) * (TILE / SPEC.size):
                cv2.circle(picture, (round(float(x)), round(float(y))), 1, colour, -1)
    return picture


def report(results: dict[str, Compared]) -> None:
    """A line for each clip, for each backend, and for each turn of the head; d: dlib's, m: ours."""
    print(f"{'clip':28} {'frames':>6}   tremble d / m    missed d / m    ms d / m   turn")
    for name, result in results.items():
        count = len(result.crops)
        trembled = [np.nanmean([np.nan, *result.second_differences(b)]) for b in NAMES]
        missed = [int((~found(p)).sum()) for p in result.points.values()]
        cost = [s / count * 1e3 for s in result.seconds.values()]
        print(
            f"{name[-28:]:28} {count:6}   {trembled[0]:.4f} {trembled[1]:.4f}"
            f"   {missed[0]:5} {missed[1]:5}   {cost[0]:6.1f} {cost[1]:6.1f}"
            f"   {np.nanmedian(result.turn):.0f}"
        )
    count = sum(len(r.crops) for r in results.values())
    for backend in NAMES:
        cost_all = sum(r.seconds[backend] for r in results.values()) / count * 1e3
        own = [np.nanmean([np.nan, *r.second_differences(backend)]) for r in results.values()]
        print(
            f"{backend}: tremble {np.nanmean(own):.4f} (median {np.nanmedian(own):.4f}), "
            f"{cost_all:.1f} ms of CPU a frame"
        )
    print("turn      frames  missed d / m   tremble d / m   apart: median, worst tenth (px)")
    for number in (*range(len(TURNS) - 1), -1):
        if any((r.bins == number).any() for r in results.values()):
            report_turn(number, list(results.values()))


def report_turn(number: int, results: list[Compared]) -> None:
    """The line of one of TURNS; -1: of the frames in which MediaPipe finds no face."""
    name = f"{TURNS[number]}-{TURNS[number + 1]}" if number >= 0 else "not found"
    rows = [(r, np.flatnonzero(r.bins == number)) for r in results]
    count = sum(len(i) for _, i in rows)
    missed = [sum(int((~found(r.points[b][i])).sum()) for r, i in rows) for b in NAMES]
    trembled = []
    for backend in NAMES:
        inner = [r.second_differences(backend)[r.bins[1:-1] == number] for r, _ in rows]
        trembled.append(np.nanmedian([np.nan, *np.concatenate(inner)]))
    apart = np.concatenate(
        [
            np.linalg.norm(r.points["dlib"][i] - r.points["mediapipe"][i], axis=2).mean(axis=1)
            for r, i in rows
        ]
    )
    print(
        f"{name:9} {count:6} {missed[0]:7} {missed[1]:4}   {trembled[0]:.4f} {trembled[1]:.4f}"
        f"   {np.nanmedian(apart):.1f} {np.nanpercentile(apart, 90):.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=150, help="of each clip, the first ones")
    parser.add_argument("--sheet", type=Path, help="where to write the contact sheet, a PNG")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    results: dict[str, Compared] = {}
    for path in options.clips:
        try:
            results[f"{path.parent.name}/{path.stem}"] = compare(path, options.frames)
        except FshError as error:
            print(error)
    report(results)
    if options.sheet:
        cv2.imwrite(str(options.sheet), sheet([*results.values()])[..., ::-1])


if __name__ == "__main__":
    main()
