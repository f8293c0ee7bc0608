"""From faces seen in single frames to clips of one face: plain geometry, no picture needed.

Rather two clips of one person than one clip of two: whenever it is open which track a face
belongs to, the tracks end and a new one begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from fsh.pipeline.faces.crop import HEAD, Window, window_of
from fsh.pipeline.media.shots import Shot
from fsh.schemas.spec import FaceSpec

#: Smallest overlap (IoU) of a face with where its track was last.
_OVERLAP = 0.3
#: An overlap this large with a second candidate makes the association open.
_RIVAL = 0.15
#: Looks (normalised pictures of the face) that correlate less than this are two faces.
_ALIKE = 0.25
#: Largest change of the box's side within one fixed window.
_ZOOM = 1.35


@dataclass(frozen=True)
class Sighting:
    """A face in one frame.

    Attributes:
        frame: number of the frame in the span.
        time: seconds on the video's clock.
        box: float32 (4,) left, top, right, bottom in source pixels.
        score: the detector's.
        look: float32 (256,), the face as 16 × 16 luma of mean 0 and length 1.
    """

    frame: int
    time: float
    box: np.ndarray
    score: float
    look: np.ndarray


@dataclass(frozen=True)
class Track:
    """One face within one shot, or a part of such a track.

    Attributes:
        number: of the track in its span, from 0, in order of appearance.
        shot: number of the shot in its span.
        frames: int (n,) frame numbers, consecutive.
        boxes: float32 (n, 4) source pixels, interpolated between sightings and smoothed.
        window: crop window, fixed.
        score: median detector score.
        detected: share of the looks in which the detector fired.
    """

    number: int
    shot: int
    frames: np.ndarray
    boxes: np.ndarray
    window: Window
    score: float
    detected: float

    @property
    def face(self) -> float:
        """Median side of the face box, source pixels."""
        return float(np.median(sides(self.boxes)))

    def drift(self, spec: FaceSpec) -> float:
        """Largest distance of the face's centre from where the window has it, in face sides."""
        left, top, side = self.window
        middle = left + side / 2, top + side / 2 + spec.shift * side / spec.margin
        centres = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        return float(np.linalg.norm(centres - middle, axis=1).max() / self.face)


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


def link(
    looks: list[tuple[int, list[Sighting]]], shots: list[Shot], *, lost: float
) -> list[tuple[int, list[Sighting]]]:
    """Sightings of one face each, with the number of their shot, in order of appearance.

    Args:
        looks: per frame looked at: its number and the faces seen, in order.
        shots: frames outside every shot (cross-fades) end all tracks and begin none.
        lost: seconds that a face may be unseen within a track.
    """
    done: list[tuple[int, list[Sighting]]] = []
    live: list[tuple[int, list[Sighting]]] = []
    for frame, seen in looks:
        shot = next((i for i, s in enumerate(shots) if s.first <= frame < s.last), None)
        if seen:
            now = seen[0].time
            ended = [t for t in live if t[0] != shot or now - t[1][-1].time > lost + 1e-6]
        else:
            ended = [t for t in live if t[0] != shot]
        done += ended
        live = [t for t in live if not any(t is e for e in ended)]
        if shot is None:
            continue
        taken, ended_here = _match([t[1][-1] for t in live], seen)
        for i, j in taken.items():
            live[i][1].append(seen[j])
        done += [live[i] for i in sorted(ended_here)]
        live = [t for i, t in enumerate(live) if i not in ended_here]
        matched = set(taken.values())
        live += [(shot, [s]) for j, s in enumerate(seen) if j not in matched]
    return sorted(done + live, key=lambda t: (t[1][0].frame, tuple(t[1][0].box)))


def _match(last: list[Sighting], seen: list[Sighting]) -> tuple[dict[int, int], set[int]]:
    """Which face continues which track.

    Returns:
        Track number to face number, and the numbers of tracks that must end because it is open
        which of them a face belongs to. A track in neither was not seen and lives on.
    """
    if not last or not seen:
        return {}, set()
    overlap = overlaps(np.array([s.box for s in last]), np.array([s.box for s in seen]))
    alike = np.array([[float(a.look @ b.look) for b in seen] for a in last])
    rows, columns = linear_sum_assignment(-(overlap + 0.1 * alike))
    taken: dict[int, int] = {}
    ended: set[int] = set()
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        if overlap[i, j] < _OVERLAP:
            continue
        same_face = np.flatnonzero(overlap[:, j] >= _RIVAL).tolist()
        same_track = np.flatnonzero(overlap[i] >= _RIVAL).tolist()
        if len(same_face) == len(same_track) == 1 and alike[i, j] >= _ALIKE:
            taken[i] = j
        else:
            ended |= {i, *same_face}
    return {i: j for i, j in taken.items() if i not in ended}, ended


def boxes_between(sightings: list[Sighting]) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers (n,) from the first to the last sighting, and a box for each, float32 (n, 4).

    The detector's boxes jump on its grid of scales and places: they are smoothed by a running
    median of three sightings, then interpolated.
    """
    keys = np.array([s.frame for s in sightings])
    boxes = np.array([s.box for s in sightings], np.float32)
    if len(boxes) > 2:
        padded = np.concatenate([boxes[:1], boxes, boxes[-1:]])
        boxes = np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0)
    frames = np.arange(keys[0], keys[-1] + 1)
    between = np.stack([np.interp(frames, keys, boxes[:, k]) for k in range(4)], axis=1)
    return frames, between.astype(np.float32)


def head_inside(boxes: np.ndarray, window: Window) -> np.ndarray:
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


def settle(boxes: np.ndarray, spec: FaceSpec) -> Window | None:
    """A fixed window that holds the head in all boxes, or None if the head moves too much."""
    size = sides(boxes)
    if size.max() > _ZOOM * size.min():
        return None
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    # Middle of where the centre goes, rather than where it mostly is: leaves room on both sides.
    centre = (low[:2] + high[:2] + low[2:] + high[2:]) / 4
    half = float(np.median(size)) / 2
    window = window_of(np.concatenate([centre - half, centre + half]), spec)
    return window if head_inside(boxes, window).all() else None


def split(
    number: int,
    shot: int,
    sightings: list[Sighting],
    times: np.ndarray,
    spec: FaceSpec,
    *,
    longest: float,
    look_every: float,
) -> list[Track]:
    """A linked track as clips: cut where the head leaves its window, then into equal parts.

    Args:
        times: float64, seconds of every frame of the span.
    """
    frames, boxes = boxes_between(sightings)
    tracks, begin = [], 0
    while begin < len(frames):
        end, window = _longest_settled(boxes[begin:], spec)
        seconds = times[frames[begin + end - 1]] - times[frames[begin]]
        parts = max(1, int(np.ceil(seconds / longest)))
        for chosen in np.array_split(np.arange(begin, begin + end), parts):
            inside = [s for s in sightings if frames[chosen[0]] <= s.frame <= frames[chosen[-1]]]
            length = times[frames[chosen[-1]]] - times[frames[chosen[0]]]
            tracks.append(
                Track(
                    number=number,
                    shot=shot,
                    frames=frames[chosen],
                    boxes=boxes[chosen],
                    window=settle(boxes[chosen], spec) or window,
                    score=float(np.median([s.score for s in inside or sightings])),
                    detected=min(1.0, len(inside) / (length / look_every + 1)),
                )
            )
        begin += end
    return tracks


def _longest_settled(boxes: np.ndarray, spec: FaceSpec) -> tuple[int, Window]:
    """How many of the first boxes fit one window (at least one), and that window."""
    if (window := settle(boxes, spec)) is not None:
        return len(boxes), window
    low, high = 1, len(boxes)  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if settle(boxes[:middle], spec) else (low, middle)
    return low, settle(boxes[:low], spec) or window_of(boxes[0], spec)
