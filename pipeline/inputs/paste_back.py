"""A drawn head put back into the full picture it belongs to.

The drawing replaces the face and a rim around it, under a mask that fades out well inside the crop;
its colours are brought to the target's, once, so that nothing flickers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.faces.crop import Window, cut
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.pipeline.inputs.driver import read_driver
from fsh.pipeline.inputs.photos import find_place
from fsh.pipeline.media.footage import VIDEO_SUFFIXES, Footage, open_footage
from fsh.pipeline.media.pictures import read_photo
from fsh.schemas.progress import Progress
from fsh.schemas.spec import FaceSpec

#: How far the mask reaches beyond the landmarks, and fades out, in heights of the face; and how far
#: up the forehead goes above the brows.
_RIM, _FADE, _FOREHEAD = 0.08, 0.10, 0.35


@dataclass(frozen=True)
class Target:
    """A full-size photo or video with a face to be replaced.

    Attributes:
        times: float64 (M,), seconds; one entry for a photo.
        landmarks: float32 (M, 68, 2) in pixels of each frame's crop; NaN where the face is lost.
        windows: M crop windows in the target's pixels.
    """

    times: np.ndarray
    landmarks: np.ndarray
    windows: list[Window]
    footage: Footage | None
    photo: np.ndarray | None

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame, uint8 (H, W, 3) RGB."""
        if self.footage is None:
            assert self.photo is not None
            yield self.photo
            return
        width, height = self.footage.size
        for _, pixels in self.footage.window((0, 0, width, height)):
            yield pixels

    def shown_at(self, times: np.ndarray) -> np.ndarray:
        """int (N,): the frame of the target that is on screen at each time of a film.

        Both clocks start with their first frame; a target that ends first stays on its last frame.
        """
        since = np.asarray(times, np.float64) - times[0]
        own = self.times - self.times[0]
        return np.clip(np.searchsorted(own, since + 1e-4, side="right") - 1, 0, len(own) - 1)


def read_target(path: Path, spec: FaceSpec, backend: LandmarkBackend, progress: Progress) -> Target:
    """Find the face in a photo (the largest) or video (the largest for longest).

    Raises:
        FshError: if it is neither, or shows no face.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        photo = read_photo(path)
        window, points = find_place(path, photo, spec, backend)
        return Target(np.zeros(1), points[None], [window], None, photo)
    driver = read_driver(path, spec, backend, progress)
    return Target(
        driver.times, driver.landmarks, driver.windows, open_footage(path, fps=25.0), None
    )


def pasted(
    target: Target, shown: np.ndarray, drawings: Iterator[np.ndarray], points: np.ndarray, crop: int
) -> Iterator[np.ndarray]:
    """The target's frames with the drawings in them.

    Args:
        shown: int (N,), not decreasing: which frame of the target each drawing goes into.
        drawings: N pictures uint8 (H, H, 3) of the target's crop windows.
        points: (N, 68, 2) what was drawn, in pixels of a ``crop``-pixel crop.
    """
    frames = target.frames()
    at, frame = 0, next(frames)
    tone: tuple[np.ndarray, np.ndarray] | None = None
    for index, drawing, drawn in zip(shown.tolist(), drawings, points, strict=True):
        while at < index:
            at, frame = at + 1, next(frames)
        mask = mask_of(np.stack([drawn, target.landmarks[index]]), crop)
        if tone is None:
            tone = tone_of(drawing, cut(frame, target.windows[index], crop), mask)
        yield paste(frame, target.windows[index], drawing, mask, tone)


def mask_of(points: np.ndarray, size: int) -> np.ndarray:
    """float32 (size, size), 1 on the face, fading to 0 around it and at the crop's edge.

    Args:
        points: (…, 68, 2) landmarks of the faces to cover, pixels of the crop; NaN are left out.
    """
    points = np.asarray(points, np.float64).reshape(-1, 68, 2)
    points = points[np.isfinite(points).all(axis=(1, 2))]
    height = float(np.ptp(points[..., 1], axis=1).max())
    up = points[:, 17:27] - (0, _FOREHEAD * height)
    hull = cv2.convexHull(np.concatenate([points, up], axis=1).reshape(-1, 2).astype(np.float32))
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, hull.round().astype(np.int32), 255)
    rim = 2 * round(_RIM * height) + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim)))
    fade = max(1.0, _FADE * height / 2)
    edge = round(3 * fade)
    mask[:edge], mask[-edge:], mask[:, :edge], mask[:, -edge:] = 0, 0, 0, 0
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), fade)


def tone_of(
    drawing: np.ndarray, crop: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset (3,) that give the drawing the crop's colours under the mask.

    Gains stay within half and twice: a mouth that opens changes a face's contrast too.
    """
    large = cv2.resize(drawing, crop.shape[:2][::-1], interpolation=cv2.INTER_CUBIC)
    inside = mask > 0.5
    mine, theirs = large[inside].astype(np.float64), crop[inside].astype(np.float64)
    gain = np.clip(theirs.std(axis=0) / np.maximum(mine.std(axis=0), 1.0), 0.5, 2.0)
    return gain, theirs.mean(axis=0) - gain * mine.mean(axis=0)


def paste(
    frame: np.ndarray,
    window: Window,
    drawing: np.ndarray,
    mask: np.ndarray,
    tone: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """A copy of a frame, uint8 (H, W, 3), with the drawing in its window; outside nothing changes.

    The window may reach over the frame's edge.
    """
    left, top, side = window
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + side), min(height, top + side)
    out = frame.copy()
    if x0 >= x1 or y0 >= y1:
        return out
    part = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    large = cv2.resize(drawing, (side, side), interpolation=cv2.INTER_CUBIC)[part]
    alpha = cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)[part][..., None]
    toned = np.clip(large * tone[0].astype(np.float32) + tone[1].astype(np.float32), 0, 255)
    below = frame[y0:y1, x0:x1]
    out[y0:y1, x0:x1] = np.rint(below + alpha * (toned - below)).astype(np.uint8)
    return out
