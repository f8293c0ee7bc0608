"""Looking for faces in a video, without looking everywhere every time.

The whole frame is searched once a second, and whenever a face that was there is not found.
In between it is enough to look around where the faces were, in a picture shrunk until the face
has the size that the detector is fastest at: a tenth of the pixels, mostly.
"""

from __future__ import annotations

import cv2
import numpy as np

from fsh.pipeline.faces.detection import Face, FaceDetector
from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box
from fsh.pipeline.faces.tracking import Sighting, overlaps, sides

#: Side of the picture searched around a known face, in sides of its box.
_REACH = 2.2
#: Side to which a known face is shrunk; the detector finds 80 px and more.
_FACE = 104
#: Between two looks a face overlaps with itself (IoU) by this much, or it is looked at between.
_STEADY = 0.55
#: Farther than this many of its sides no head moves between two looks.
_LEAP = 2.0
#: Side of the picture that stands for what a face looks like.
_LOOK = 16


class Looker:
    """Shown every frame of one span in order, tells the faces in some of them.

    A head that moves far between two looks is looked at in between as well: its track must not
    break, and a box interpolated over a fast turn would miss the face.
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
            landmarks: frames each face, as photos are framed: the box of its landmarks is steadier
                than the detector's. dlib's cost a tenth of the detector.
            scale: (4,) pixels of the source per pixel of luma, for left, top, right, bottom.
            look_every: seconds between two looks.
            search_every: seconds between two searches of the whole frame.
        """
        self._detector, self._landmarks, self._scale = detector, landmarks, scale
        self._look_every, self._search_every = look_every, search_every
        self._next_look = self._next_search = -float("inf")
        self._known: list[Face] = []
        self._looks: dict[int, list[Sighting]] = {}
        self._last = -1
        self._recent: dict[int, tuple[float, np.ndarray]] = {}

    def see(self, luma: np.ndarray, frame: int, time: float) -> None:
        """The next frame: uint8 (H, W) luma, its number in the span, its time in seconds."""
        self._recent[frame] = time, luma
        if time >= self._next_look:
            self._looks[frame] = self._look(luma, frame, time)
            if self._last >= 0:
                self._refine(self._last, frame)
            self._last, self._recent = frame, {}
            self._next_look = time + self._look_every - 1e-3

    def looks(self) -> list[tuple[int, list[Sighting]]]:
        """Every frame looked at and the faces in it, in order."""
        return sorted(self._looks.items(), key=lambda look: look[0])

    def _refine(self, first: int, last: int) -> None:
        """Look halfway between two looks, and again, until no head moves far between looks."""
        if last - first > 1 and moved_far(self._looks[first], self._looks[last]):
            middle = (first + last) // 2
            time, luma = self._recent[middle]
            self._looks[middle] = self._look(luma, middle, time)
            self._refine(first, middle)
            self._refine(middle, last)

    def _look(self, luma: np.ndarray, frame: int, time: float) -> list[Sighting]:
        faces = self._nearby(luma) if time < self._next_search - 1e-3 else None
        if faces is None:
            faces = self._detector.detect(luma)
            self._next_search = time + self._search_every
        self._known = faces
        sightings = []
        for face in faces:
            box = face_box(self._landmarks.landmarks(luma[None], face.box[None])[0])
            look = picture_of(luma, box)
            sightings.append(Sighting(frame, time, box * self._scale, face.score, look))
        return sightings

    def _nearby(self, luma: np.ndarray) -> list[Face] | None:
        """The known faces again, or None if one of them is not where it was."""
        found: list[Face] = []
        for known in self._known:
            seen = [face for face in self._around(luma, known) if _overlap(face, known) > 0.3]
            if not seen or any(_overlap(seen[0], other) > 0.3 for other in found):
                return None
            found.append(seen[0])
        return found

    def _around(self, luma: np.ndarray, known: Face) -> list[Face]:
        side = known.side
        centre = (known.box[:2] + known.box[2:]) / 2
        left, top = (max(0, int(v)) for v in centre - _REACH / 2 * side)
        right, bottom = (int(v) for v in centre + _REACH / 2 * side)
        part = luma[top:bottom, left:right]
        shrink = min(1.0, _FACE / side)
        size = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
        back = np.array([part.shape[1] / size[0], part.shape[0] / size[1]] * 2, np.float32)
        small = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) if shrink < 1 else part
        offset = np.array([left, top, left, top], np.float32)
        return [Face(face.box * back + offset, face.score) for face in self._detector.detect(small)]


def moved_far(before: list[Sighting], after: list[Sighting]) -> bool:
    """Whether a face has another close by in the other look, but none that overlaps well."""
    if not before or not after:
        return False
    a, b = (np.array([s.box for s in look]) for look in (before, after))
    overlap = overlaps(a, b)
    middle_a, middle_b = ((x[:, :2] + x[:, 2:]) / 2 for x in (a, b))
    away = np.linalg.norm(middle_a[:, None] - middle_b[None], axis=2)
    close = away < _LEAP * sides(a)[:, None]
    return bool((close.any(axis=1) & (overlap.max(axis=1) < _STEADY)).any())


def _overlap(a: Face, b: Face) -> float:
    return float(overlaps(a.box[None], b.box[None])[0, 0])


def picture_of(luma: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A face as float32 (256,) of mean 0 and length 1: what it looks like, roughly."""
    left, top, right, bottom = (max(0, round(float(v))) for v in box)
    part = luma[top : max(bottom, top + 1), left : max(right, left + 1)]
    if not part.size:
        return np.zeros(_LOOK * _LOOK, np.float32)
    small = cv2.resize(part, (_LOOK, _LOOK), interpolation=cv2.INTER_AREA)
    centred = small.astype(np.float32).ravel() - small.mean(dtype=np.float32)
    return centred / max(float(np.linalg.norm(centred)), 1e-6)
