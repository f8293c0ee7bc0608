"""Finding the faces in a video's frames without searching every frame in full.

The whole frame is searched once a second, and whenever a known face is not found again. In between
only the surroundings of the known faces are searched, in a picture shrunk until the face has the
size that the detector is fastest at: mostly a tenth of the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from fsh.pipeline.faces.detection import Face, FaceDetector
from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box
from fsh.pipeline.faces.tracking import Detection, SearchedFrame, overlaps, sides

#: Side of the surroundings searched around a known face, in sides of its box.
_REACH = 2.2
#: Side in pixels to which a known face is shrunk; the detector finds 80 px and more.
_FACE_SIDE = 104
#: Overlap (IoU) of a face in two searched frames below which a frame between is searched too.
_STEADY = 0.55
#: Farther than this many of its sides no head moves between two searched frames.
_LEAP = 2.0
#: Side of the thumbnail that stands for a face's appearance.
_THUMB = 16


class FaceSearch:
    """Is given every frame of one span in order, and searches some of them for faces.

    Where a head moves far between two searched frames, frames in between are searched as well: its
    track must not break, and a box interpolated over a fast turn would miss the face.
    """

    def __init__(
        self,
        detector: FaceDetector,
        landmarks: LandmarkBackend,
        scale: np.ndarray,
        *,
        look_every: float,
        search_every: float,
    ) -> None:
        """
        Args:
            landmarks: gives each face its box, as in photos: the box of its landmarks is steadier
                than the detector's. dlib's landmarks cost a tenth of the detector.
            scale: (4,) pixels of the source per pixel of luma, for left, top, right, bottom.
            look_every: seconds between two frames in which faces are searched.
            search_every: seconds between two searches of the whole frame.
        """
        self._detector, self._landmarks, self._scale = detector, landmarks, scale
        self._look_every, self._search_every = look_every, search_every
        self._next_look = self._next_full_search = -float("inf")
        self._known: list[Face] = []
        self._searched: dict[int, list[Detection]] = {}
        self._last = -1
        self._recent: dict[int, tuple[float, np.ndarray]] = {}

    def add_frame(self, luma: np.ndarray, frame: int, time: float) -> None:
        """Process the next frame.

        Args:
            luma: uint8 (H, W).
            frame: its number in the span.
            time: seconds on the video's clock.
        """
        self._recent[frame] = time, luma
        if time >= self._next_look:
            self._searched[frame] = self._search(luma, frame, time)
            if self._last >= 0:
                self._refine(self._last, frame)
            self._last, self._recent = frame, {}
            self._next_look = time + self._look_every - 1e-3

    def searched(self) -> list[SearchedFrame]:
        """The frames that were searched and the faces in them, in order."""
        return [SearchedFrame(frame, self._searched[frame]) for frame in sorted(self._searched)]

    def _refine(self, first: int, last: int) -> None:
        """Search the frame halfway between two, and so on, until no head moves far between two."""
        if last - first > 1 and moved_far(self._searched[first], self._searched[last]):
            middle = (first + last) // 2
            time, luma = self._recent[middle]
            self._searched[middle] = self._search(luma, middle, time)
            self._refine(first, middle)
            self._refine(middle, last)

    def _search(self, luma: np.ndarray, frame: int, time: float) -> list[Detection]:
        """The faces of one frame: near the known ones, or in the whole frame."""
        faces = self._find_known(luma) if time < self._next_full_search - 1e-3 else None
        if faces is None:
            faces = self._detector.detect(luma)
            self._next_full_search = time + self._search_every
        self._known = faces
        return self._described(faces, luma, frame, time)

    def _described(
        self, faces: Sequence[Face], luma: np.ndarray, frame: int, time: float
    ) -> list[Detection]:
        """Faces of one frame with their boxes in source pixels, and their appearance."""
        detections = []
        for face in faces:
            box = face_box(self._landmarks.landmarks(luma[None], face.box[None]).points[0])
            appearance = appearance_of(luma, box)
            detections.append(Detection(frame, time, box * self._scale, face.score, appearance))
        return detections

    def _find_known(self, luma: np.ndarray) -> list[Face] | None:
        """The known faces in a new frame, or None if one of them is not where it was."""
        found: list[Face] = []
        for known in self._known:
            around = detect_near(self._detector, luma, known)
            near = [face for face in around if _overlap(face, known) > 0.3]
            if not near or any(_overlap(near[0], other) > 0.3 for other in found):
                return None
            found.append(near[0])
        return found


def detect_near(detector: FaceDetector, luma: np.ndarray, known: Face) -> list[Face]:
    """Faces in the surroundings of a known one, in pixels of the frame, best score first.

    Args:
        luma: uint8 (H, W).
    """
    side = known.side
    centre = (known.box[:2] + known.box[2:]) / 2
    left, top = (max(0, int(v)) for v in centre - _REACH / 2 * side)
    right, bottom = (int(v) for v in centre + _REACH / 2 * side)
    part = luma[top:bottom, left:right]
    shrink = min(1.0, _FACE_SIDE / side)
    size = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
    back = np.array([part.shape[1] / size[0], part.shape[0] / size[1]] * 2, np.float32)
    small = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) if shrink < 1 else part
    offset = np.array([left, top, left, top], np.float32)
    return [Face(face.box * back + offset, face.score) for face in detector.detect(small)]


def moved_far(before: Sequence[Detection], after: Sequence[Detection]) -> bool:
    """Whether a face of one frame has a face close by in the other, but none that overlaps well."""
    if not before or not after:
        return False
    a, b = (np.array([d.box for d in detections]) for detections in (before, after))
    overlap = overlaps(a, b)
    middle_a, middle_b = ((x[:, :2] + x[:, 2:]) / 2 for x in (a, b))
    away = np.linalg.norm(middle_a[:, None] - middle_b[None], axis=2)
    close = away < _LEAP * sides(a)[:, None]
    return bool((close.any(axis=1) & (overlap.max(axis=1) < _STEADY)).any())


def counterparts(before: Sequence[Detection], after: Sequence[Detection]) -> dict[int, int]:
    """Which face of one frame is which of another, by place alone: the nearest pairs first.

    Returns:
        Index in ``before`` to index in ``after``; faces that only one of the frames has are in
        neither.
    """
    if not before or not after:
        return {}
    a, b = (np.array([d.box for d in detections]) for detections in (before, after))
    middle_a, middle_b = ((x[:, :2] + x[:, 2:]) / 2 for x in (a, b))
    away = np.linalg.norm(middle_a[:, None] - middle_b[None], axis=2)
    away[away >= _LEAP * sides(a)[:, None]] = np.inf
    pairs: dict[int, int] = {}
    while np.isfinite(away).any():
        i, j = (int(k) for k in np.unravel_index(np.argmin(away), away.shape))
        pairs[i] = j
        away[i], away[:, j] = np.inf, np.inf
    return pairs


def _overlap(a: Face, b: Face) -> float:
    return float(overlaps(a.box[None], b.box[None])[0, 0])


def appearance_of(luma: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A face's rough appearance: a thumbnail of 16 × 16 as float32 (256,) of mean 0 and length 1.

    Two of them are compared by their correlation, the dot product.
    """
    left, top, right, bottom = (max(0, round(float(v))) for v in box)
    part = luma[top : max(bottom, top + 1), left : max(right, left + 1)]
    if not part.size:
        return np.zeros(_THUMB * _THUMB, np.float32)
    small = cv2.resize(part, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
    centred = small.astype(np.float32).ravel() - small.mean(dtype=np.float32)
    return centred / max(float(np.linalg.norm(centred)), 1e-6)
