"""The frames of a short video that serve as photos: sharp, and unlike one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsh.pipeline.faces.crop import Window
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.pipeline.faces.scores import face_mask, head_pose, luma, sharpness
from fsh.pipeline.inputs.driver import read_driver
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.spec import FaceSpec

#: Frames taken of one video.
STILLS = 8
#: Crops kept while looking; the sharpest of each stretch of at least a fifth of a second.
_KEPT, _STRETCH = 128, 0.2
#: Frames with less than this share of the median sharpness are left out.
_SHARP = 0.6
#: What counts as one unit of difference: degrees of yaw and pitch, shares of the face's height for
#: an opening mouth, its width and the opening of the eyes.
_UNITS = np.array([12.0, 10.0, 0.05, 0.05, 0.02])
_FARTHEST = 45.0  # degrees of yaw beyond which half of the face is missing


@dataclass(frozen=True)
class Still:
    """A frame of a video, ready to be a photo: see :class:`fsh.schemas.clip.FaceClip`."""

    time: float
    crop: np.ndarray
    points: np.ndarray
    window: Window


def stills_of(
    path: Path,
    spec: FaceSpec,
    backend: LandmarkBackend,
    progress: Progress,
    count: int = STILLS,
) -> list[Still]:
    """The frames of a video's main face that tell most about it, in the order of their times.

    Raises:
        FshError: if it is no video, or shows no face.
    """
    kept: dict[int, tuple[int, float, np.ndarray, float]] = {}
    stretch = _STRETCH

    def see(number: int, time: float, crop: np.ndarray) -> None:
        nonlocal stretch, kept
        quarter = spec.size // 4  # the face is in the middle of its crop; landmarks come later
        middle = luma(crop)[quarter:-quarter, quarter:-quarter]
        sharp = sharpness(middle, np.ones(middle.shape, bool))
        slot = int(time / stretch)
        if slot not in kept or sharp > kept[slot][3]:
            kept[slot] = number, time, crop, sharp
        if len(kept) > _KEPT:  # a longer video than was thought: stretches twice as long
            stretch *= 2
            wider: dict[int, tuple[int, float, np.ndarray, float]] = {}
            for entry in kept.values():
                slot = int(entry[1] / stretch)
                if slot not in wider or entry[3] > wider[slot][3]:
                    wider[slot] = entry
            kept = wider

    driver = read_driver(path, spec, backend, progress, see=see)
    found = np.isfinite(driver.landmarks).all(axis=(1, 2))
    there = [entry for entry in kept.values() if found[entry[0]]]
    if not there:
        raise FshError("no frame shows the face", where=path, remedy="give another video")
    points = [driver.landmarks[number] for number, *_ in there]
    poses = np.array([describe(p, spec.size) for p in points])
    sharp = np.array(
        [
            sharpness(luma(crop), face_mask(p, spec.size))
            for (_, _, crop, _), p in zip(there, points, strict=True)
        ]
    )
    return [
        Still(there[i][1], there[i][2], points[i], driver.windows[there[i][0]])
        for i in sorted(spread(poses, sharp, count), key=lambda i: there[i][1])
    ]


def describe(points: np.ndarray, size: int) -> np.ndarray:
    """Pose and expression as float64 (5,): yaw, pitch, mouth open, mouth wide, eyes open."""
    yaw, pitch, _ = head_pose(points, size)
    height = max(float(np.ptp(points[:, 1])), 1e-6)
    lids = np.linalg.norm(points[[37, 38, 43, 44]] - points[[41, 40, 47, 46]], axis=1).mean()
    mouth = np.linalg.norm(points[66] - points[62]), np.linalg.norm(points[54] - points[48])
    return np.array([yaw, pitch, mouth[0] / height, mouth[1] / height, lids / height])


def spread(poses: np.ndarray, sharp: np.ndarray, count: int) -> list[int]:
    """The most ordinary of some frames, then always the one most unlike those chosen.

    Args:
        poses: (N, 5) of :func:`describe`. sharp: (N,), larger is sharper.

    Returns:
        Indices of at most ``count`` frames, no blurred or turned-away ones if there are others.
    """
    good = np.isfinite(poses).all(axis=1) & (np.abs(poses[:, 0]) <= _FARTHEST)
    good &= sharp >= _SHARP * np.median(sharp)
    known = np.flatnonzero(good if good.any() else np.ones(len(poses), bool))
    scaled = np.nan_to_num(poses[known]) / _UNITS
    chosen = [int(np.linalg.norm(scaled - np.median(scaled, axis=0), axis=1).argmin())]
    while len(chosen) < min(count, len(known)):
        away = np.linalg.norm(scaled[:, None] - scaled[chosen][None], axis=2).min(axis=1)
        away[chosen] = -1
        chosen.append(int(away.argmax()))
    return [int(known[i]) for i in chosen]
