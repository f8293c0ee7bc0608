"""What drives a person: a face's landmarks in every frame of a video, a folder or a stored track.

Faces are found, cropped and landmarked as everywhere else in fsh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from fsh.pipeline.faces.appearance_search import AppearanceSearch
from fsh.pipeline.faces.crop import (
    CropWindow,
    box_to_crop,
    crop_image,
    crop_window,
    real_window,
)
from fsh.pipeline.faces.detection import FaceDetector
from fsh.pipeline.faces.dlib_landmarks import DlibLandmarks
from fsh.pipeline.faces.embedding import embed_face
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.pipeline.faces.search import appearance_of
from fsh.pipeline.faces.tracking import LinkedDetections, SearchedFrame, fixed_window, sides
from fsh.pipeline.inputs.driver_faces import FacePath, face_tracks, looks_at, path_of, tell_apart
from fsh.pipeline.inputs.landmark_track import TRACK_SUFFIXES, read_track
from fsh.pipeline.media.decode import proxy_size
from fsh.pipeline.media.ffmpeg import tell_choice
from fsh.pipeline.media.footage import Footage, open_footage
from fsh.pipeline.media.regions import enclosing_region
from fsh.pipeline.media.shots import Shot, ShotDetector
from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import POINTS
from fsh.schemas.faces.mesh import MESH_POINTS
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Progress

_PROXY = 360  # pixels of the shorter side when searching for the face
_LOOK_EVERY = 0.1  # seconds between two searched frames
_SEARCH_EVERY = 1.0  # seconds between two searches of the whole frame
#: Correlation with the face before or after, below which a frame in between does not show it.
_SAME_FACE = 0.4
_FOLLOW = 0.6  # seconds over which a moving window is smoothed
_BATCH = 32  # frames whose faces are landmarked together

#: Called with every frame's number, time in seconds and crop, uint8 (S, S, 3) RGB.
OnFrame = Callable[[int, float, np.ndarray], None]


@dataclass(frozen=True)
class Driver:
    """What drives a person: one face's landmarks, for every frame.

    Attributes:
        times: float64 (N,), seconds on the video's clock, one per frame of it.
        landmarks: float32 (N, 68, 2), crop pixels; NaN in frames without the face.
        windows: the crop window of each frame in source pixels; empty for a stored track.
        spec: how the faces were cropped and landmarked.
        frames: uint8 (N, S, S, 3) RGB crops, or None if they were not asked for.
        mesh: float32 (N, 478, 3), crop pixels, NaN as ``landmarks``; None if the landmark backend,
            or the stored track, gives none.
        away: seconds from and to which somebody else is shown instead, for each time.
        faces: how many people the video shows; 1 for a stored track.
        real: float32 (N, 4), the part of each crop that shows the video: left, top, right, bottom
            edges in crop pixels; None for a stored track.
    """

    times: np.ndarray
    landmarks: np.ndarray
    windows: list[CropWindow]
    spec: FaceSpec
    frames: np.ndarray | None = None
    mesh: np.ndarray | None = None
    real: np.ndarray | None = None
    away: tuple[tuple[float, float], ...] = ()
    faces: int = 1


def read_driver(
    path: Path,
    spec: FaceSpec,
    backend: LandmarkBackend,
    progress: Progress,
    *,
    keep_frames: bool = False,
    fps: float = 25.0,
    face: int | None = None,
    on_frame: OnFrame | None = None,
) -> Driver:
    """Find the main face of a video and its landmarks in every frame.

    Args:
        path: a video, a folder of pictures that are its frames, or a stored track of landmarks
            (:mod:`fsh.pipeline.inputs.landmark_track`), in which nothing needs to be found.
        keep_frames: whether to return the crops too (0.2 MB a frame at 256 px).
        fps: frames per second of a folder, or of a track that does not state them.
        face: whose face, by number from 0, in order of appearance, from the left; None: of the
            person who is largest for longest.
        on_frame: called for every frame, in order.

    Raises:
        FshError: if it is nothing of the kind, shows no face, or none of that number.
    """
    if path.suffix.lower() in TRACK_SUFFIXES:
        track = read_track(path, spec, fps)
        return Driver(track.times, track.landmarks, [], spec, mesh=track.mesh)
    tell_choice(progress.say)
    footage = open_footage(path, fps)
    times, path_taken = _find_face(footage, backend, face, progress, path)
    windows = windows_over_time(path_taken.boxes, times, spec)
    frames = np.zeros((len(times), spec.size, spec.size, 3), np.uint8) if keep_frames else None

    def keep(number: int, time: float, crop: np.ndarray) -> None:
        if frames is not None:
            frames[number] = crop
        if on_frame is not None:
            on_frame(number, time, crop)

    faces = _landmark_footage(footage, path_taken, windows, spec, backend, progress, keep)
    progress.stop()
    if not faces.found.any():
        raise FshError("no landmarks found on the face", where=path, remedy="try another video")
    real = np.stack([real_window(window, footage.size, spec.size) for window in windows])
    ends = np.append(times[1:], times[-1] + (times[-1] - times[-2] if len(times) > 1 else 0.04))
    away = tuple((float(times[a]), float(ends[b - 1])) for a, b in path_taken.away)
    count = 1 + len(path_taken.others)
    return Driver(times, faces.points, windows, spec, frames, faces.mesh, real, away, count)


def _find_face(
    footage: Footage, backend: LandmarkBackend, face: int | None, progress: Progress, path: Path
) -> tuple[np.ndarray, FacePath]:
    """The first pass, in small: seconds of every frame, float64 (N,), and where the face is.

    Args:
        path: as the user gave it, for messages.
    """
    width, height = footage.size
    size = proxy_size(width, height, _PROXY)
    scale = np.array([width / size[0], height / size[1]] * 2, np.float32)
    # Boxes come from dlib's landmarks, as in photos; the model is loaded only once.
    framing = backend if isinstance(backend, DlibLandmarks) else DlibLandmarks()
    times, searched, shots = _search_footage(footage, framing, size, scale, progress)
    tracks = face_tracks(searched, shots)
    if not tracks:
        raise FshError("no face found", where=path, remedy="give a video that shows a face")
    people = [0] * len(tracks)
    if len(tracks) > 1:
        embeddings = _embeddings(footage, tracks, framing, size, scale, progress)
        people = tell_apart(tracks, embeddings)
    if face is not None and face not in people:
        count = len({*people} - {-1})
        found = "one face" if count == 1 else f"{count} faces, 0 to {count - 1}"
        raise FshError(
            f"no face number {face}: it shows {found}",
            where=path,
            remedy="they are counted in order of appearance, from the left, from 0",
        )
    return times, path_of(tracks, people, face, searched, shots, len(times))


def _embeddings(
    footage: Footage,
    tracks: Sequence[LinkedDetections],
    framing: DlibLandmarks,
    size: tuple[int, int],
    scale: np.ndarray,
    progress: Progress,
) -> dict[int, np.ndarray]:
    """Face embeddings float32 (n, 128) of each track, by its number, in one more pass in small."""
    wanted = looks_at(tracks)
    owner = {id(one): i for i, track in enumerate(tracks) for one in track.detections}
    found: dict[int, list[np.ndarray]] = {}
    progress.start("telling faces apart", len(wanted), "frame")
    for number, (_, pixels) in enumerate(footage.proxy(size)):
        for one in wanted.get(number, ()):
            box = one.box / scale
            points = framing.landmarks(pixels[None, : size[1]], box[None]).points[0]
            picture = cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_I420)
            found.setdefault(owner[id(one)], []).append(embed_face(picture, points))
        progress.advance(number in wanted)
        if number >= max(wanted, default=0):
            break
    return {track: np.stack(vectors) for track, vectors in found.items()}


def _search_footage(
    footage: Footage,
    framing: DlibLandmarks,
    size: tuple[int, int],
    scale: np.ndarray,
    progress: Progress,
) -> tuple[np.ndarray, list[SearchedFrame], list[Shot]]:
    """Seconds of every frame, float64 (N,), the faces found, and the shots."""
    shots = ShotDetector()
    search = AppearanceSearch(
        FaceDetector(), framing, scale, look_every=_LOOK_EVERY, search_every=_SEARCH_EVERY
    )
    times: list[float] = []
    progress.start(f"finding the face in {footage.path.name}", footage.expected, "frame")
    for time, pixels in footage.proxy(size):
        search.add_frame(pixels[: size[1]], len(times), time)
        shots.add_frame(time, pixels)
        times.append(time)
        progress.advance()
    if not times:
        raise FshError("no frame can be decoded", where=footage.path, remedy="give another video")
    return np.array(times), search.searched(), shots.shots()


def _landmark_footage(
    footage: Footage,
    face: FacePath,
    windows: Sequence[CropWindow],
    spec: FaceSpec,
    backend: LandmarkBackend,
    progress: Progress,
    on_frame: OnFrame,
) -> FaceLandmarks:
    """The second pass, at full resolution: N faces in crop pixels."""
    points = np.full((len(windows), POINTS, 2), np.nan, np.float32)
    mesh: np.ndarray | None = None
    region = enclosing_region([*dict.fromkeys(windows)], footage.size)
    progress.start("landmarks", len(windows), "frame")
    batch: dict[int, np.ndarray] = {}

    def landmark_batch() -> None:
        nonlocal mesh
        if batch:
            boxes = [box_to_crop(face.boxes[i], windows[i], spec.size) for i in batch]
            crops = np.array([*batch.values()])
            some = backend.landmarks(crops, np.array(boxes), consecutive=True)
            points[[*batch]] = some.points
            if some.mesh is not None:
                if mesh is None:
                    mesh = np.full((len(windows), MESH_POINTS, 3), np.nan, np.float32)
                mesh[[*batch]] = some.mesh
        batch.clear()

    for number, (time, pixels) in enumerate(footage.region(region)):
        crop = crop_image(pixels, windows[number].within(region), spec.size)
        on_frame(number, time, crop)
        if face.tracked[number] and (
            backend.knows_absence or _shows_face(face, number, crop, windows[number], spec)
        ):
            batch[number] = crop
        if (number + 1) % _BATCH == 0:
            landmark_batch()
        progress.advance()
    landmark_batch()
    return FaceLandmarks(points, mesh)


def _shows_face(
    face: FacePath, number: int, crop: np.ndarray, window: CropWindow, spec: FaceSpec
) -> bool:
    """Whether a tracked frame's crop, uint8 (S, S, 3), shows the face, where that is doubtful."""
    known = face.doubtful.get(number)
    if known is None:
        return True
    box = box_to_crop(face.boxes[number], window, spec.size)
    appearance = appearance_of(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), box)
    return bool((known @ appearance).max() >= _SAME_FACE)


def windows_over_time(boxes: np.ndarray, times: np.ndarray, spec: FaceSpec) -> list[CropWindow]:
    """A crop window per frame: one for all if the head stays inside, else one that follows it."""
    if (fixed := fixed_window(boxes, spec)) is not None:
        return [fixed] * len(boxes)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    centres = gaussian_filter1d((boxes[:, :2] + boxes[:, 2:]) / 2, _FOLLOW / step, axis=0)
    half = gaussian_filter1d(sides(boxes), 3 * _FOLLOW / step)[:, None] / 2
    smooth = np.concatenate([centres - half, centres + half], axis=1)
    return [crop_window(box, spec) for box in smooth]
