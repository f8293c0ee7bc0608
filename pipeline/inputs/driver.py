"""What drives a person: a face's landmarks in every frame of a video, a folder or a stored track.

They are cropped and found as everything else in fsh is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from fsh.pipeline.faces.crop import Window, box_to_crop, cut, window_of
from fsh.pipeline.faces.detection import FaceDetector
from fsh.pipeline.faces.landmarks import DlibLandmarks, LandmarkBackend
from fsh.pipeline.faces.search import Looker
from fsh.pipeline.faces.tracking import Sighting, boxes_between, link, settle, sides
from fsh.pipeline.inputs.landmark_track import TRACK_SUFFIXES, read_track
from fsh.pipeline.media.decode import even_window, proxy_size
from fsh.pipeline.media.footage import open_footage
from fsh.pipeline.media.shots import Shot
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.spec import FaceSpec

_PROXY = 360  # pixels of the shorter side when looking for the face
_LOOK_EVERY = 0.1  # seconds
_LOST = 1.0  # seconds a face may be unseen and still be followed
_FOLLOW = 0.6  # seconds over which a moving window is smoothed
_BATCH = 32


@dataclass(frozen=True)
class Driver:
    """What moves a person: one face's landmarks, for every frame.

    Attributes:
        times: float64 (N,), seconds on the video's clock, one per frame of it.
        landmarks: float32 (N, 68, 2), crop pixels; NaN in frames without the face.
        windows: the crop window of each frame in source pixels; empty for a stored track.
        spec: how the faces were cropped and landmarked.
        frames: uint8 (N, S, S, 3) RGB crops, or None if they were not asked for.
    """

    times: np.ndarray
    landmarks: np.ndarray
    windows: list[Window]
    spec: FaceSpec
    frames: np.ndarray | None = None


def read_driver(
    path: Path,
    spec: FaceSpec,
    backend: LandmarkBackend,
    progress: Progress,
    *,
    keep_frames: bool = False,
    fps: float = 25.0,
    see: Callable[[int, float, np.ndarray], None] | None = None,
) -> Driver:
    """Find the main face of a video and its landmarks in every frame.

    Args:
        path: a video, a folder of pictures that are its frames, or a stored track of landmarks
            (:mod:`fsh.pipeline.inputs.landmark_track`), which needs no looking.
        keep_frames: whether to return the crops too (0.2 MB a frame at 256 px).
        fps: frames per second of a folder, or of a track that does not say.
        see: shown every frame's number, time and crop, uint8 (S, S, 3) RGB, in order.

    Raises:
        FshError: if it is nothing of the kind, or shows no face.
    """
    if path.suffix.lower() in TRACK_SUFFIXES:
        times, landmarks = read_track(path, spec, fps)
        return Driver(times, landmarks, [], spec)
    footage = open_footage(path, fps)
    width, height = footage.size
    size = proxy_size(width, height, _PROXY)
    scale = np.array([width / size[0], height / size[1]] * 2, np.float32)
    # The same points that frame photos frame the face here; dlib's model is loaded once.
    framing = backend if isinstance(backend, DlibLandmarks) else DlibLandmarks()
    looker = Looker(FaceDetector(), framing, scale, look_every=_LOOK_EVERY, search_every=1.0)
    clock: list[float] = []
    progress.start(f"finding the face in {path.name}", footage.expected, "frame")
    for time, luma in footage.luma(size):
        looker.see(luma, len(clock), time)
        clock.append(time)
        progress.advance()
    face = main_face(looker.looks(), len(clock))
    if face is None:
        raise FshError("no face found", where=path, remedy="give a video that shows a face")
    boxes, seen = face
    windows = windows_along(boxes, np.array(clock), spec)
    points = np.full((len(clock), 68, 2), np.nan, np.float32)
    frames = np.zeros((len(clock), spec.size, spec.size, 3), np.uint8) if keep_frames else None
    part = even_window([*dict.fromkeys(windows)], footage.size)
    progress.start("landmarks", len(clock), "frame")
    batch: list[tuple[int, np.ndarray]] = []

    def flush() -> None:
        wanted = [(at, crop) for at, crop in batch if seen[at]]
        if wanted:
            where = np.array([box_to_crop(boxes[at], windows[at], spec.size) for at, _ in wanted])
            found = backend.landmarks(np.array([crop for _, crop in wanted]), where)
            points[[at for at, _ in wanted]] = found
        batch.clear()

    for at, (time, pixels) in enumerate(footage.window(part)):
        left, top, side = windows[at]
        crop = cut(pixels, (left - part[0], top - part[1], side), spec.size)
        batch.append((at, crop))
        if frames is not None:
            frames[at] = crop
        if see is not None:
            see(at, time, crop)
        if len(batch) == _BATCH:
            flush()
        progress.advance()
    flush()
    progress.stop()
    if not np.isfinite(points).all(axis=(1, 2)).any():
        raise FshError("no landmarks found on the face", where=path, remedy="try another video")
    return Driver(np.array(clock), points, windows, spec, frames)


def main_face(
    looks: list[tuple[int, list[Sighting]]], count: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """The face that is largest for longest.

    Args:
        looks: per frame looked at: its number and the faces seen.
        count: frames of the video.

    Returns:
        float32 (count, 4) boxes, held where the face is not tracked, and bool (count,) where it
        is; None if there is no face at all.
    """
    tracks = [seen for _, seen in link(looks, [Shot(0, count)], lost=_LOST)]
    if not tracks:
        return None
    paths = [boxes_between(seen) for seen in tracks]
    weight = [float(sides(boxes).sum()) for _, boxes in paths]
    boxes, seen = np.full((count, 4), np.nan, np.float32), np.zeros(count, bool)
    # The heaviest first; a lighter one fills in only where nothing is followed yet: somebody who
    # left and came back, or the next shot's face.
    for i in sorted(range(len(paths)), key=lambda i: -weight[i]):
        frames, track = paths[i]
        if not seen[frames].any():
            boxes[frames], seen[frames] = track, True
    known = np.flatnonzero(seen)
    for k in range(4):
        boxes[:, k] = np.interp(np.arange(count), known, boxes[known, k])
    # Looks are some frames apart: the face is there before the first and after the last look too.
    reach = max(1, looks[1][0] - looks[0][0]) if len(looks) > 1 else count
    near = np.abs(np.arange(count)[:, None] - known[[0, -1]][None]).min(axis=1) <= reach
    return boxes, np.logical_or(seen, near)


def windows_along(boxes: np.ndarray, times: np.ndarray, spec: FaceSpec) -> list[Window]:
    """A crop window per frame: one for all if the head stays inside, else one that follows it."""
    if (fixed := settle(boxes, spec)) is not None:
        return [fixed] * len(boxes)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    centres = gaussian_filter1d((boxes[:, :2] + boxes[:, 2:]) / 2, _FOLLOW / step, axis=0)
    half = gaussian_filter1d(sides(boxes), 3 * _FOLLOW / step)[:, None] / 2
    smooth = np.concatenate([centres - half, centres + half], axis=1)
    return [window_of(box, spec) for box in smooth]
