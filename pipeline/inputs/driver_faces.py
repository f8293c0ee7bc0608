"""Whose face is where in a driver: tracks of faces, the people they show, and the one who drives.

A driver may show several people, side by side or in turn. One of them drives: whoever is largest
for longest, or who is chosen by number. Where another one is shown, nothing drives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fsh.pipeline.faces.embedding import SAME_PERSON
from fsh.pipeline.faces.tracking import (
    Detection,
    LinkedDetections,
    SearchedFrame,
    interpolate_boxes,
    link_detections,
    sides,
)
from fsh.pipeline.media.shots import Shot

_LOST = 1.0  # seconds a face may be undetected within a track
#: Shares of a track at which its face is looked at to tell whose it is.
_LOOKS = (0.25, 0.5, 0.75)
#: Detections that somebody needs in order to count.
_SEEN = 3
#: Frames that two tracks of one person may have in common, at a cut.
_COMMON = 2


@dataclass(frozen=True)
class FacePath:
    """Where one face is in every frame of a video.

    Attributes:
        boxes: float32 (N, 4) source pixels; the nearest known one where the face is not tracked.
        tracked: bool (N,), the frames in which it is tracked.
        doubtful: numbers of the tracked frames between two detections among which the face was
            searched in vain, each with the appearances of the face before and after, float32
            (2, 256): it may have turned away, or be gone for a moment.
        away: half-open ranges of frames in which somebody else is shown, and not this face.
        others: numbers of the other people.
    """

    boxes: np.ndarray
    tracked: np.ndarray
    doubtful: dict[int, np.ndarray]
    away: tuple[tuple[int, int], ...] = ()
    others: tuple[int, ...] = ()


def face_tracks(searched: Sequence[SearchedFrame], shots: Sequence[Shot]) -> list[LinkedDetections]:
    """The tracks of all faces, none of which goes over a cut, in order of appearance.

    Args:
        searched: the frames in which faces were searched.
        shots: as :class:`~fsh.pipeline.media.shots.ShotDetector` gives them.
    """
    return link_detections(searched, _without_transitions(shots), lost=_LOST)


def _without_transitions(shots: Sequence[Shot]) -> list[Shot]:
    """The shots with each transition cut in its middle: a face is there until it is gone."""
    edges = [0] if shots else []
    edges += [(a.last + b.first) // 2 for a, b in pairwise(shots)]
    ends = [*edges[1:], 2**62] if edges else []
    return [Shot(first, last) for first, last in zip(edges, ends, strict=True)]


def looks_at(tracks: Sequence[LinkedDetections]) -> dict[int, list[Detection]]:
    """Which detections of each track are looked at to tell whose face it is, by frame.

    Returns:
        Frame number to detections of it; nothing if there is one track or none.
    """
    wanted: dict[int, list[Detection]] = {}
    for track in tracks if len(tracks) > 1 else ():
        count = len(track.detections)
        for at in sorted({min(count - 1, int(share * count)) for share in _LOOKS}):
            one = track.detections[at]
            wanted.setdefault(one.frame, []).append(one)
    return wanted


def tell_apart(
    tracks: Sequence[LinkedDetections], embeddings: Mapping[int, np.ndarray]
) -> list[int]:
    """Whose face each track is: numbers in order of appearance, from the left.

    Somebody who is hardly seen is likely no face at all, and nobody (-1).

    Args:
        embeddings: per number of a track float32 (n, 128); tracks without are somebody new.
    """
    frames = [interpolate_boxes(track.detections)[0] for track in tracks]
    people: list[list[int]] = []
    for i in sorted(range(len(tracks)), key=lambda i: -weight_of(tracks[i])):
        distances = [_distance(i, person, embeddings, frames) for person in people]
        best = int(np.argmin(distances)) if distances else -1
        if distances and distances[best] < SAME_PERSON:
            people[best].append(i)
        else:
            people.append([i])

    def first_seen(person: list[int]) -> tuple[int, float]:
        first = min(person, key=lambda i: (frames[i][0], tracks[i].detections[0].box[0]))
        return int(frames[first][0]), float(tracks[first].detections[0].box[0])

    seen = [p for p in people if sum(len(tracks[i].detections) for i in p) >= _SEEN]
    order = sorted(seen or people[:1], key=first_seen)
    number = {i: n for n, person in enumerate(order) for i in person}
    return [number.get(i, -1) for i in range(len(tracks))]


def _distance(
    track: int,
    person: Sequence[int],
    embeddings: Mapping[int, np.ndarray],
    frames: Sequence[np.ndarray],
) -> float:
    """Distance of a track's face to the most similar one of a person; infinite if both are seen."""
    if track not in embeddings:
        return float("inf")
    for other in person:
        common = min(frames[track][-1], frames[other][-1]) - max(frames[track][0], frames[other][0])
        if common >= _COMMON:
            return float("inf")
    known = [embeddings[other] for other in person if other in embeddings]
    if not known:
        return float("inf")
    away = np.linalg.norm(embeddings[track][:, None] - np.concatenate(known)[None], axis=2)
    return float(away.min())


def weight_of(track: LinkedDetections) -> float:
    """How much a track counts: the sides of its boxes, of all its frames."""
    return float(sides(interpolate_boxes(track.detections)[1]).sum())


def path_of(
    tracks: Sequence[LinkedDetections],
    people: Sequence[int],
    who: int | None,
    searched: Sequence[SearchedFrame],
    shots: Sequence[Shot],
    count: int,
) -> FacePath:
    """Where the face of one person is.

    Args:
        tracks: one at least.
        people: whose each track is.
        who: the one of them; None: the one who is largest for longest.
        searched: the frames in which faces were searched.
        shots: as for :func:`face_tracks`.
        count: frames of the video.
    """
    if who is None:
        weights = dict.fromkeys(sorted({*people} - {-1}), 0.0)
        for track, person in zip(tracks, people, strict=True):
            if person >= 0:
                weights[person] += weight_of(track)
        who = max(weights, key=lambda person: weights[person])
    own = [track for track, person in zip(tracks, people, strict=True) if person == who]
    numbers = np.array([frame for frame, _ in searched])
    cut_shots = _without_transitions(shots)
    boxes, tracked = np.full((count, 4), np.nan, np.float32), np.zeros(count, bool)
    chosen: list[tuple[LinkedDetections, np.ndarray]] = []
    for track in sorted(own, key=lambda track: -weight_of(track)):
        frames, some = interpolate_boxes(track.detections)
        if not tracked[frames].any():
            boxes[frames], tracked[frames] = some, True
            chosen.append((track, some))
    for track, some in chosen:
        first, last = _unsearched_around(track, numbers, cut_shots)
        for part, box in (
            (slice(first, track.detections[0].frame), some[0]),
            (slice(track.detections[-1].frame + 1, last), some[-1]),
        ):
            if not tracked[part].any():
                boxes[part], tracked[part] = box, True
    known = np.flatnonzero(tracked)
    for k in range(4):
        boxes[:, k] = np.interp(np.arange(count), known, boxes[known, k])
    shown = np.zeros(count, bool)
    for track, person in zip(tracks, people, strict=True):
        if person not in (who, -1):
            shown[slice(*_unsearched_around(track, numbers, cut_shots))] = True
    doubtful = {
        frame: appearances
        for track, _ in chosen
        for frame, appearances in _doubtful_frames(track.detections, numbers).items()
    }
    others = tuple(sorted({*people} - {who, -1}))
    return FacePath(boxes, tracked, doubtful, _ranges(shown & ~tracked), others)


def _unsearched_around(
    track: LinkedDetections, searched: np.ndarray, shots: Sequence[Shot]
) -> tuple[int, int]:
    """The frames around a track as far as the next that was searched, or the shot's edge.

    Frames that were not searched are not without a face.
    """
    begin, end = track.detections[0].frame, track.detections[-1].frame
    shot = next(shot for shot in shots if shot.first <= begin < shot.last)
    first = max(shot.first, searched[searched < begin].max(initial=-1) + 1)
    return int(first), int(min(shot.last, searched[searched > end].min(initial=2**62)))


def _ranges(flags: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The runs of True in bool (N,), half open."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def _doubtful_frames(track: Sequence[Detection], searched: np.ndarray) -> dict[int, np.ndarray]:
    """See :attr:`FacePath.doubtful`; ``searched``: numbers of the searched frames, in order."""
    doubtful: dict[int, np.ndarray] = {}
    for before, after in pairwise(track):
        between = np.searchsorted(searched, [before.frame + 1, after.frame])
        if between[1] > between[0]:
            appearances = np.stack([before.appearance, after.appearance])
            doubtful |= dict.fromkeys(range(before.frame + 1, after.frame), appearances)
    return doubtful
