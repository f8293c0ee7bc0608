"""Looking for faces in a video, without looking everywhere every time.

The whole frame is searched once a second, and whenever a face that was there is not found.
In between it is enough to look around where the faces were, in a picture shrunk until the face
has the size that the detector is fastest at: a tenth of the pixels, mostly.
"""

from __future__ import annotations

import cv2
import numpy as np

from fsh.pipeline.faces import Face, FaceDetector
from fsh.pipeline.landmarks import LandmarkBackend, face_box
from fsh.pipeline.tracks import Sighting, overlaps

#: Side of the picture searched around a known face, in sides of its box.
_REACH = 2.2
#: Side to which a known face is shrunk; the detector finds 80 px and more.
_FACE = 104
#: Side of the picture that stands for what a face looks like.
_LOOK = 16


class Looker:
    """Shown some frames of one span in their order, tells the faces in each."""

    def __init__(
        self, detector: FaceDetector, landmarks: LandmarkBackend, *, search_every: float
    ) -> None:
        """
        Args:
            landmarks: frames each face, as photos are framed: the box of its landmarks is steadier
                than the detector's. dlib's cost a tenth of the detector.
            search_every: seconds between two searches of the whole frame.
        """
        self._detector, self._landmarks = detector, landmarks
        self._every = search_every
        self._next = -float("inf")
        self._known: list[Face] = []

    def look(self, luma: np.ndarray, frame: int, time: float, scale: np.ndarray) -> list[Sighting]:
        """The faces in one frame.

        Args:
            luma: uint8 (H, W).
            frame: its number in the span.
            time: its seconds on the video's clock.
            scale: (4,) pixels of the source per pixel of luma, for left, top, right, bottom.
        """
        faces = self._nearby(luma) if time < self._next - 1e-3 else None
        if faces is None:
            faces = self._detector.detect(luma)
            self._next = time + self._every
        self._known = faces
        sightings = []
        for face in faces:
            box = face_box(self._landmarks.landmarks(luma[None], face.box[None])[0])
            sightings.append(Sighting(frame, time, box * scale, face.score, picture_of(luma, box)))
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
