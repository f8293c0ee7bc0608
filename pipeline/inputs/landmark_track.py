"""Stored motion: tracks of landmarks, so that no picture of a driver need be kept; and its flaws.

``.npy`` is an array (F, 68, 2), iBUG order, x to the right and y down in any unit, NaN where there
is no face, at a constant rate that the file does not know. ``.npz`` has ``landmarks`` in crop
pixels, ``times`` (F,) in seconds, so a variable rate is kept, and ``spec``, the JSON of the
:class:`~fsh.schemas.spec.FaceSpec` they were found with. Neither holds anything pickled.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fsh.pipeline.faces.crop import to_crop, window_of
from fsh.pipeline.faces.landmarks import face_box
from fsh.pipeline.faces.scores import head_pose
from fsh.schemas.errors import FshError
from fsh.schemas.layout import replacing
from fsh.schemas.spec import FaceSpec

TRACK_SUFFIXES = frozenset([".npy", ".npz"])
_REMEDY = "make one with `fsh animate … --save-landmarks track.npz`"
_ZOOM = 1024.0  # windows are whole pixels: a track of small units is enlarged before it is framed

#: Beyond these a driver is told to be difficult: head's yaw and pitch in degrees, share of frames
#: for which that holds, and tremble in face heights per frame (one clip in twenty has more).
YAW, PITCH, MANY, SHAKE = 35.0, 25.0, 0.1, 0.025
#: A mouth further open than this share of the face's height is not a neutral start.
OPEN_MOUTH = 0.09
_POSES = 120  # frames whose pose is looked at, at most


def save_track(path: Path, landmarks: np.ndarray, times: np.ndarray, spec: FaceSpec) -> None:
    """Write a track; as ``.npy`` its times are lost.

    Raises:
        FshError: if the name ends in neither ``.npy`` nor ``.npz``.
    """
    if path.suffix.lower() not in TRACK_SUFFIXES:
        raise FshError("a track's name ends in .npz or .npy", where=path)
    with replacing(path) as temporary, temporary.open("wb") as file:
        if path.suffix.lower() == ".npy":
            np.save(file, np.asarray(landmarks, np.float32))
        else:
            told = np.array(json.dumps(spec.to_json(), sort_keys=True))
            np.savez(
                file,
                landmarks=np.asarray(landmarks, np.float32),
                times=np.asarray(times, np.float64),
                spec=told,
            )


def read_track(path: Path, spec: FaceSpec, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Times float64 (F,) and landmarks float32 (F, 68, 2), crop pixels of ``spec``, of a track.

    A track that says no units is laid into the crop as the middle one of its faces would be framed.

    Raises:
        FshError: if it is no track, or has no face.
        SpecMismatch: if it was found with another specification.
    """
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            points, times, made = stored, None, ""
        else:
            points, times, made = stored["landmarks"], stored["times"], str(stored["spec"])
    except FileNotFoundError:
        raise FshError("no such file", where=path) from None
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise FshError(f"not a track of landmarks ({error})", where=path, remedy=_REMEDY) from error
    if points.ndim != 3 or points.shape[1:] != (68, 2) or points.dtype.kind not in "fiu":
        what = f"holds {points.dtype} {points.shape}, expected numbers (frames, 68, 2)"
        raise FshError(what, where=path, remedy=_REMEDY)
    points = points.astype(np.float32)
    points[~np.isfinite(points).all(axis=(1, 2))] = np.nan
    if np.isnan(points).all():
        raise FshError("no frame of this track has landmarks", where=path, remedy=_REMEDY)
    if times is None:
        return np.arange(len(points)) / fps, framed(points, spec)
    if times.shape != (len(points),) or not (np.diff(times) > 0).all():
        raise FshError("its times do not increase frame by frame", where=path, remedy=_REMEDY)
    spec.require(FaceSpec.from_json(json.loads(made)), mine="the person", theirs=str(path))
    return times.astype(np.float64), points


def framed(points: np.ndarray, spec: FaceSpec) -> np.ndarray:
    """Landmarks (F, 68, 2) in any unit as they lie in a crop around their median face."""
    median = np.nanmedian(points, axis=0)
    extent = float(np.ptp(median, axis=0).max())
    if extent <= 0:
        return points
    large = points * (_ZOOM / extent)
    window = window_of(face_box(np.nanmedian(large, axis=0)), spec)
    return to_crop(large, window, spec.size)


@dataclass(frozen=True)
class Preflight:
    """What is difficult about a driver, before anything is drawn.

    Attributes:
        frames, lost, longest_gap: frames, frames without a face, the longest run of those.
        shake: median tremble of the head from frame to frame, in face heights.
        turned: share of the frames with an extreme pose.
        start: what keeps the first face from being neutral, empty if nothing does.
    """

    frames: int
    lost: int
    longest_gap: int
    shake: float
    turned: float
    start: str

    def to_json(self) -> dict:
        return asdict(self)

    def warnings(self) -> list[str]:
        """One line for each thing that will show in the film."""
        told = []
        if self.lost:
            told.append(
                f"no face in {self.lost} of {self.frames} frames "
                f"(at most {self.longest_gap} in a row): bridged"
            )
        if self.shake > SHAKE:
            told.append(
                f"the picture shakes ({100 * self.shake:.1f} % of the face from frame to frame)"
            )
        if self.turned > MANY:
            told.append(f"the head is turned far in {100 * self.turned:.0f} % of the frames")
        if self.start:
            told.append(
                f"the first frame is not neutral ({self.start}); a calmer one is the reference"
            )
        return told


def preflight(landmarks: np.ndarray, size: int) -> Preflight:
    """Look at a driver's landmarks (N, 68, 2), crop pixels of a ``size`` crop, NaN where lost."""
    found = np.isfinite(landmarks).all(axis=(1, 2))
    known = np.flatnonzero(found)
    height = float(np.median(np.ptp(landmarks[found][:, :, 1], axis=1)))
    # The bridge of the nose goes with the head and not with the face's expression.
    head = landmarks[:, 27:31].mean(axis=1)
    tremble = np.linalg.norm(head[2:] - 2 * head[1:-1] + head[:-2], axis=1) / height
    poses = [
        head_pose(landmarks[i], size)
        for i in known[np.linspace(0, len(known) - 1, min(_POSES, len(known))).astype(int)]
    ]
    yaws, pitches, _ = np.abs(np.array(poses)).T
    first = landmarks[known[0]]
    reasons = []
    if (first[66, 1] - first[62, 1]) / height > OPEN_MOUTH:
        reasons.append("mouth open")
    if max(yaws[0] / YAW, pitches[0] / PITCH) > 0.6:
        reasons.append("head turned")
    tremble = tremble[np.isfinite(tremble)]
    return Preflight(
        frames=len(landmarks),
        lost=int((~found).sum()),
        longest_gap=longest_run(~found),
        shake=float(np.median(tremble)) if len(tremble) else 0.0,
        turned=float(np.mean((yaws > YAW) | (pitches > PITCH))),
        start=", ".join(reasons),
    )


def longest_run(flags: np.ndarray) -> int:
    """The length of the longest run of True in bool (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
