"""The frames of a short video that serve as photos: sharp, and unlike one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsh.pipeline.faces.crop import CropWindow
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.pipeline.faces.pose import head_poses
from fsh.pipeline.faces.scores import face_mask, luma, sharpness
from fsh.pipeline.inputs.driver import read_driver
from fsh.schemas.errors import FshError
from fsh.schemas.faces.landmarks import LIDS, MOUTH_CORNERS, found, mouth_opening
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Progress

#: Frames taken of one video.
STILLS = 8
#: Crops kept while a video is read; the sharpest of each slot of at least that many seconds.
_KEPT, _SLOT = 128, 0.2
#: Frames with less than this share of the median sharpness are left out.
_SHARP = 0.6
#: What counts as one unit of difference: degrees of yaw and pitch, the mouth's opening over its
#: width, and shares of the face's height for the mouth's width and the opening of the eyes.
_UNITS = np.array([12.0, 10.0, 0.14, 0.05, 0.02])
_FARTHEST = 45.0  # degrees of yaw beyond which half of the face is missing


@dataclass(frozen=True)
class VideoStill:
    """A frame of a video that serves as a photo.

    Attributes:
        time: seconds on the video's clock.
        crop: uint8 (S, S, 3) RGB.
        points: float32 (68, 2) landmarks, crop pixels.
        window: the crop window in the frame.
        real: float32 (4,), the part of the crop that shows the frame: left, top, right, bottom
            edges in crop pixels.
        mesh: float32 (478, 3), crop pixels; None if the landmark backend gives none.
    """

    time: float
    crop: np.ndarray
    points: np.ndarray
    window: CropWindow
    real: np.ndarray
    mesh: np.ndarray | None = None


@dataclass(frozen=True)
class _Frame:
    """A crop kept while a video is read."""

    number: int
    time: float
    crop: np.ndarray
    sharpness: float


class _SharpestFrames:
    """Keeps the sharpest crop of each slot of time, at most :data:`_KEPT` of a video."""

    def __init__(self, size: int) -> None:
        self._quarter = size // 4
        self._slot = _SLOT
        self._kept: dict[int, _Frame] = {}

    def add(self, number: int, time: float, crop: np.ndarray) -> None:
        """The next frame's number, seconds and crop, uint8 (S, S, 3) RGB."""
        # The face is in the middle of its crop; its landmarks are not known yet.
        middle = luma(crop)[self._quarter : -self._quarter, self._quarter : -self._quarter]
        frame = _Frame(number, time, crop, sharpness(middle, np.ones(middle.shape, bool)))
        self._keep(frame, self._kept)
        if len(self._kept) > _KEPT:  # a longer video than was thought: slots of double length
            self._slot *= 2
            wider: dict[int, _Frame] = {}
            for kept in self._kept.values():
                self._keep(kept, wider)
            self._kept = wider

    def _keep(self, frame: _Frame, slots: dict[int, _Frame]) -> None:
        slot = int(frame.time / self._slot)
        if slot not in slots or frame.sharpness > slots[slot].sharpness:
            slots[slot] = frame

    def frames(self) -> list[_Frame]:
        return [*self._kept.values()]


def pick_stills(
    path: Path,
    spec: FaceSpec,
    backend: LandmarkBackend,
    progress: Progress,
    count: int = STILLS,
) -> list[VideoStill]:
    """The frames of a video's main face that show most of it, in the order of their times.

    Raises:
        FshError: if it is no video, or shows no face.
    """
    sharpest = _SharpestFrames(spec.size)
    driver = read_driver(path, spec, backend, progress, on_frame=sharpest.add)
    there = found(driver.landmarks)
    frames = [frame for frame in sharpest.frames() if there[frame.number]]
    if not frames:
        raise FshError("no frame shows the face", where=path, remedy="give another video")
    real_parts = driver.real
    assert real_parts is not None, "only a stored track, which has no frames, has none"
    points = [driver.landmarks[frame.number] for frame in frames]
    numbers = [frame.number for frame in frames]
    poses = head_poses(
        np.array(points), spec.size, None if driver.mesh is None else driver.mesh[numbers]
    )
    features = np.array(
        [pose_and_expression(p, pose) for p, pose in zip(points, poses, strict=True)]
    )
    sharp = np.array(
        [
            sharpness(luma(frame.crop), face_mask(p, spec.size))
            for frame, p in zip(frames, points, strict=True)
        ]
    )

    def still(frame: _Frame) -> VideoStill:
        number = frame.number
        mesh = None if driver.mesh is None else driver.mesh[number]
        points = driver.landmarks[number]
        window, real = driver.windows[number], real_parts[number]
        return VideoStill(frame.time, frame.crop, points, window, real, mesh)

    chosen = [frames[i] for i in select_diverse(features, sharp, count)]
    return [still(frame) for frame in sorted(chosen, key=lambda frame: frame.time)]


def pose_and_expression(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Pose and expression of one face, as numbers by which frames are compared.

    Args:
        points: (68, 2) landmarks in crop pixels.
        pose: (3,) of :func:`~fsh.pipeline.faces.pose.head_poses`.

    Returns:
        float64 (5,): yaw and pitch in degrees, the mouth's opening over its width, the mouth's
        width and the mean gap between the lids over the height of the face.
    """
    yaw, pitch, _ = pose
    height = max(float(np.ptp(points[:, 1])), 1e-6)
    upper, lower = np.transpose(LIDS)
    lids = np.linalg.norm(points[upper] - points[lower], axis=1).mean()
    left, right = MOUTH_CORNERS
    width = np.linalg.norm(points[right] - points[left])
    return np.array([yaw, pitch, mouth_opening(points[None])[0], width / height, lids / height])


def select_diverse(features: np.ndarray, sharp: np.ndarray, count: int) -> list[int]:
    """The most ordinary of some frames, then always the one most unlike those selected.

    Args:
        features: (N, 5) of :func:`pose_and_expression`.
        sharp: (N,), larger is sharper.

    Returns:
        Indices of at most ``count`` frames, no blurred or turned-away ones if there are others.
    """
    good = np.isfinite(features).all(axis=1) & (np.abs(features[:, 0]) <= _FARTHEST)
    good &= sharp >= _SHARP * np.median(sharp)
    usable = np.flatnonzero(good if good.any() else np.ones(len(features), bool))
    scaled = np.nan_to_num(features[usable]) / _UNITS
    chosen = [int(np.linalg.norm(scaled - np.median(scaled, axis=0), axis=1).argmin())]
    while len(chosen) < min(count, len(usable)):
        away = np.linalg.norm(scaled[:, None] - scaled[chosen][None], axis=2).min(axis=1)
        away[chosen] = -1
        chosen.append(int(away.argmax()))
    return [int(usable[i]) for i in chosen]
