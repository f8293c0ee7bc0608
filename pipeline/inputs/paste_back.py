"""A drawn head pasted back into the full picture that it was cropped from.

The drawing replaces the face and a rim around it, under a mask that fades out well inside the crop.
Its colours are matched to the target's, once per film, so that nothing flickers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.faces.crop import CropWindow, crop_image
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.pipeline.inputs.driver import read_driver
from fsh.pipeline.inputs.photo_faces import locate_face
from fsh.pipeline.media.animated_pictures import is_moving
from fsh.pipeline.media.footage import Footage, open_footage
from fsh.pipeline.media.pictures import read_photo
from fsh.schemas.faces.landmarks import BROWS, POINTS, found
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Progress

#: In heights of the face: how far the mask reaches beyond the landmarks, over which it fades out,
#: and how far the forehead reaches above the brows.
_RIM, _FADE, _FOREHEAD = 0.08, 0.10, 0.35


@dataclass(frozen=True)
class PasteTarget:
    """A full-size photo or video whose face is to be replaced.

    Attributes:
        times: float64 (M,), seconds; one entry for a photo.
        landmarks: float32 (M, 68, 2) in pixels of each frame's crop; NaN where the face is lost.
        windows: M crop windows in the target's pixels.
        footage: the video, or None for a photo.
        photo: uint8 (H, W, 3) RGB, or None for a video.
    """

    times: np.ndarray
    landmarks: np.ndarray
    windows: list[CropWindow]
    footage: Footage | None
    photo: np.ndarray | None

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame, uint8 (H, W, 3) RGB."""
        if self.footage is None:
            assert self.photo is not None
            yield self.photo
            return
        width, height = self.footage.size
        for _, pixels in self.footage.region((0, 0, width, height)):
            yield pixels

    def frames_at(self, times: np.ndarray) -> np.ndarray:
        """int (N,): the number of the target's frame at each time (seconds) of a film.

        Both clocks start with their first frame; after the target's end it is the last frame.
        """
        since = np.asarray(times, np.float64) - times[0]
        own = self.times - self.times[0]
        return np.clip(np.searchsorted(own, since + 1e-4, side="right") - 1, 0, len(own) - 1)


def read_paste_target(
    path: Path,
    spec: FaceSpec,
    backend: LandmarkBackend,
    progress: Progress,
    face: int | None = None,
) -> PasteTarget:
    """Find the face in a photo (the largest) or video (the largest for longest).

    Args:
        face: another one, by number from 0: in a photo from the left, in a video as
            :func:`~fsh.pipeline.inputs.driver.read_driver` counts.

    Raises:
        FshError: if it is neither, or shows no face, or none of that number.
    """
    if path.is_file() and not is_moving(path):
        photo = read_photo(path, say=progress.say)
        window, points = locate_face(path, photo, spec, backend, face)
        return PasteTarget(np.zeros(1), points[None], [window], None, photo)
    driver = read_driver(path, spec, backend, progress, face=face)
    return PasteTarget(
        driver.times, driver.landmarks, driver.windows, open_footage(path, fps=25.0), None
    )


def paste_frames(
    target: PasteTarget,
    numbers: np.ndarray,
    drawings: Iterator[np.ndarray],
    points: np.ndarray,
    size: int,
) -> Iterator[np.ndarray]:
    """The target's frames with the drawings in them, uint8 (H, W, 3).

    Args:
        numbers: int (N,), not decreasing: which frame of the target each drawing goes into.
        drawings: N pictures uint8 (H, H, 3) of the target's crop windows, of any size.
        points: (N, 68, 2) landmarks of the drawings, crop pixels.
        size: side of the crop that landmarks refer to, pixels.
    """
    frames = target.frames()
    at, frame = 0, next(frames)
    colors: tuple[np.ndarray, np.ndarray] | None = None
    for index, drawing, drawn in zip(numbers.tolist(), drawings, points, strict=True):
        while at < index:
            at, frame = at + 1, next(frames)
        mask = blend_mask(np.stack([drawn, target.landmarks[index]]), size)
        if colors is None:
            crop = crop_image(frame, target.windows[index], size)
            colors = match_colors(drawing, crop, mask)
        yield paste_frame(frame, target.windows[index], drawing, mask, colors)


def blend_mask(points: np.ndarray, size: int) -> np.ndarray:
    """float32 (size, size), 1 on the face, fading to 0 around it and at the crop's edge.

    Args:
        points: (…, 68, 2) landmarks of the faces to cover, pixels of the crop; NaN are left out.
    """
    points = np.asarray(points, np.float64).reshape(-1, POINTS, 2)
    points = points[found(points)]
    height = float(np.ptp(points[..., 1], axis=1).max())
    forehead = points[:, BROWS] - (0, _FOREHEAD * height)
    hull = cv2.convexHull(
        np.concatenate([points, forehead], axis=1).reshape(-1, 2).astype(np.float32)
    )
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, hull.round().astype(np.int32), 255)
    rim = 2 * round(_RIM * height) + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim)))
    fade = max(1.0, _FADE * height / 2)
    edge = round(3 * fade)
    mask[:edge], mask[-edge:], mask[:, :edge], mask[:, -edge:] = 0, 0, 0, 0
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), fade)


def match_colors(
    drawing: np.ndarray, crop: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset (3,) per channel that give a drawing the colours of a crop under the mask.

    They match the channels' means and standard deviations.

    Gains stay within half and twice: a mouth that opens changes a face's contrast too.
    """
    large = cv2.resize(drawing, crop.shape[:2][::-1], interpolation=cv2.INTER_CUBIC)
    inside = mask > 0.5
    drawn, wanted = large[inside].astype(np.float64), crop[inside].astype(np.float64)
    gain = np.clip(wanted.std(axis=0) / np.maximum(drawn.std(axis=0), 1.0), 0.5, 2.0)
    return gain, wanted.mean(axis=0) - gain * drawn.mean(axis=0)


def paste_frame(
    frame: np.ndarray,
    window: CropWindow,
    drawing: np.ndarray,
    mask: np.ndarray,
    colors: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """A copy of a frame, uint8 (H, W, 3), with the drawing in its window; outside nothing changes.

    Args:
        window: may reach over the frame's edge.
        drawing: uint8 (H, H, 3), of any size.
        mask: float32 (S, S), 1 where the drawing replaces the frame.
        colors: gain and offset of the drawing (:func:`match_colors`).
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
    gain, offset = (values.astype(np.float32) for values in colors)
    matched = np.clip(large * gain + offset, 0, 255)
    below = frame[y0:y1, x0:x1]
    out[y0:y1, x0:x1] = np.rint(below + alpha * (matched - below)).astype(np.uint8)
    return out
