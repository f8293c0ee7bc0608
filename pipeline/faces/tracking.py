"""From faces detected in single frames to clips of one face: plain geometry, no picture needed.

Two clips of one person are better than one clip of two persons: whenever it is ambiguous which
track a face belongs to, the tracks end and a new one begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from fsh.pipeline.faces.crop import HEAD, CropWindow, crop_window
from fsh.pipeline.media.shots import Shot
from fsh.schemas.faces.spec import FaceSpec

#: Smallest overlap (IoU) of a face with the last detection of its track.
_MIN_OVERLAP = 0.3
#: An overlap this large with a second candidate makes the association ambiguous.
_AMBIGUOUS_OVERLAP = 0.15
#: Faces whose appearances correlate less than this are two faces.
_MIN_CORRELATION = 0.25
#: Largest factor between the box sides within one fixed window.
_MAX_ZOOM = 1.35


@dataclass(frozen=True)
class Detection:
    """A face detected in one frame of a video.

    Attributes:
        frame: number of the frame in the span.
        time: seconds on the video's clock.
        box: float32 (4,) left, top, right, bottom in source pixels.
        score: the detector's.
        appearance: float32 (256,), the face as 16 × 16 luma of mean 0 and length 1.
    """

    frame: int
    time: float
    box: np.ndarray
    score: float
    appearance: np.ndarray


class SearchedFrame(NamedTuple):
    """A frame in which faces were searched, and those that were found."""

    frame: int
    detections: Sequence[Detection]


class LinkedDetections(NamedTuple):
    """Detections of one face within one shot, by the number of the shot in its span."""

    shot: int
    detections: list[Detection]


@dataclass(frozen=True)
class Track:
    """One face within one shot, or a part of such a track.

    Attributes:
        number: of the track in its span, from 0, in order of appearance.
        shot: number of the shot in its span.
        frames: int (n,) frame numbers, consecutive.
        boxes: float32 (n, 4) source pixels, interpolated between detections and smoothed.
        window: crop window, the same for all frames.
        score: median detector score.
        detected: share of the searched frames in which the face was detected.
    """

    number: int
    shot: int
    frames: np.ndarray
    boxes: np.ndarray
    window: CropWindow
    score: float
    detected: float

    @property
    def face_side(self) -> float:
        """Median side of the face box, source pixels."""
        return float(np.median(sides(self.boxes)))

    def drift(self, spec: FaceSpec) -> float:
        """Largest distance of the face's centre from its nominal place, in face sides.

        The nominal place is where a window made from the box alone has the face's centre.
        """
        left, top, side = self.window
        middle = left + side / 2, top + side / 2 + spec.shift * side / spec.margin
        centres = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        return float(np.linalg.norm(centres - middle, axis=1).max() / self.face_side)


def sides(boxes: np.ndarray) -> np.ndarray:
    """Longer side of each box, float (n,)."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 4) and (m, 4): float (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return common / np.maximum(area_a[:, None] + area_b[None] - common, 1e-9)


def link_detections(
    searched: Sequence[SearchedFrame], shots: Sequence[Shot], *, lost: float
) -> list[LinkedDetections]:
    """Detections linked to one face each, in order of appearance.

    Args:
        searched: the frames in which faces were searched, in order.
        shots: frames outside every shot (cross-fades) end all tracks and begin none.
        lost: seconds that a face may be undetected within a track.
    """
    done: list[LinkedDetections] = []
    live: list[LinkedDetections] = []
    for frame, detections in searched:
        shot = next((i for i, s in enumerate(shots) if s.first <= frame < s.last), None)
        if detections:
            now = detections[0].time
            ended = [t for t in live if t.shot != shot or now - t.detections[-1].time > lost + 1e-6]
        else:
            ended = [t for t in live if t.shot != shot]
        done += ended
        live = [t for t in live if not any(t is e for e in ended)]
        if shot is None:
            continue
        taken, ambiguous = _match([t.detections[-1] for t in live], detections)
        for i, j in taken.items():
            live[i].detections.append(detections[j])
        done += [live[i] for i in sorted(ambiguous)]
        live = [t for i, t in enumerate(live) if i not in ambiguous]
        matched = set(taken.values())
        live += [LinkedDetections(shot, [d]) for j, d in enumerate(detections) if j not in matched]
    return sorted(done + live, key=lambda t: (t.detections[0].frame, tuple(t.detections[0].box)))


def _match(
    last: Sequence[Detection], current: Sequence[Detection]
) -> tuple[dict[int, int], set[int]]:
    """Which detection continues which track.

    Args:
        last: the last detection of each track.
        current: the detections of a later frame.

    Returns:
        Index of the track to index of the detection, and the tracks that must end because it is
        ambiguous which of them a detection belongs to. A track in neither was not detected and
        goes on.
    """
    if not last or not current:
        return {}, set()
    overlap = overlaps(np.array([d.box for d in last]), np.array([d.box for d in current]))
    correlation = np.array([[float(a.appearance @ b.appearance) for b in current] for a in last])
    rows, columns = linear_sum_assignment(-(overlap + 0.1 * correlation))
    taken: dict[int, int] = {}
    ended: set[int] = set()
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        if overlap[i, j] < _MIN_OVERLAP:
            continue
        same_face = np.flatnonzero(overlap[:, j] >= _AMBIGUOUS_OVERLAP).tolist()
        same_track = np.flatnonzero(overlap[i] >= _AMBIGUOUS_OVERLAP).tolist()
        unambiguous = len(same_face) == len(same_track) == 1
        if unambiguous and correlation[i, j] >= _MIN_CORRELATION:
            taken[i] = j
        else:
            ended |= {i, *same_face}
    return {i: j for i, j in taken.items() if i not in ended}, ended


def interpolate_boxes(detections: Sequence[Detection]) -> tuple[np.ndarray, np.ndarray]:
    """A box for every frame from the first to the last detection.

    The detector's boxes jump on its grid of scales and places: they are smoothed by a running
    median of three detections, then interpolated linearly.

    Returns:
        Frame numbers int (n,), and boxes float32 (n, 4).
    """
    keys = np.array([d.frame for d in detections])
    boxes = np.array([d.box for d in detections], np.float32)
    if len(boxes) > 2:
        padded = np.concatenate([boxes[:1], boxes, boxes[-1:]])
        boxes = np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0)
    frames = np.arange(keys[0], keys[-1] + 1)
    between = np.stack([np.interp(frames, keys, boxes[:, k]) for k in range(4)], axis=1)
    return frames, between.astype(np.float32)


def head_inside(boxes: np.ndarray, window: CropWindow) -> np.ndarray:
    """bool (n,): whether the head that belongs to each box lies inside the window."""
    left, top, side = window
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    heads = np.tile(centres, 2) + sides(boxes)[:, None] * HEAD
    return (
        (heads[:, 0] >= left)
        & (heads[:, 1] >= top)
        & (heads[:, 2] <= left + side)
        & (heads[:, 3] <= top + side)
    )


def fixed_window(boxes: np.ndarray, spec: FaceSpec) -> CropWindow | None:
    """One crop window that holds the head of all boxes; None if the head moves too much."""
    size = sides(boxes)
    if size.max() > _MAX_ZOOM * size.min():
        return None
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    # The middle between the extremes, rather than the mean: it leaves room on both sides.
    centre = (low[:2] + high[:2] + low[2:] + high[2:]) / 4
    half = float(np.median(size)) / 2
    window = crop_window(np.concatenate([centre - half, centre + half]), spec)
    return window if head_inside(boxes, window).all() else None


def split_track(
    number: int,
    shot: int,
    detections: Sequence[Detection],
    times: np.ndarray,
    spec: FaceSpec,
    *,
    longest: float,
    look_every: float,
) -> list[Track]:
    """Linked detections as clips: cut where the head leaves its window, then into equal parts.

    Args:
        number: of the track in its span.
        shot: number of the shot in the span.
        times: float64, seconds of every frame of the span.
        longest: seconds; a longer part is divided.
        look_every: seconds between two searched frames.
    """
    frames, boxes = interpolate_boxes(detections)
    tracks, begin = [], 0
    while begin < len(frames):
        end, window = _longest_fixed_window(boxes[begin:], spec)
        seconds = times[frames[begin + end - 1]] - times[frames[begin]]
        parts = max(1, int(np.ceil(seconds / longest)))
        for chosen in np.array_split(np.arange(begin, begin + end), parts):
            inside = [d for d in detections if frames[chosen[0]] <= d.frame <= frames[chosen[-1]]]
            length = times[frames[chosen[-1]]] - times[frames[chosen[0]]]
            tracks.append(
                Track(
                    number=number,
                    shot=shot,
                    frames=frames[chosen],
                    boxes=boxes[chosen],
                    window=fixed_window(boxes[chosen], spec) or window,
                    score=float(np.median([d.score for d in inside or detections])),
                    detected=min(1.0, len(inside) / (length / look_every + 1)),
                )
            )
        begin += end
    return tracks


def _longest_fixed_window(boxes: np.ndarray, spec: FaceSpec) -> tuple[int, CropWindow]:
    """How many of the first boxes fit one window (at least one), and that window."""
    if (window := fixed_window(boxes, spec)) is not None:
        return len(boxes), window
    low, high = 1, len(boxes)  # bisection: low boxes fit, high boxes do not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fixed_window(boxes[:middle], spec) else (low, middle)
    return low, fixed_window(boxes[:low], spec) or crop_window(boxes[0], spec)
