"""One face followed through the frames of a camera: what a driver is, without looking ahead.

A face that the landmark backend knows to be there is not searched for again; the detector sees the
frame only at the beginning and when the face is lost. Backends that find something wherever they
look have the detector look around the face ten times a second, as in videos.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from fsh.pipeline.faces.crop import crop_window
from fsh.pipeline.faces.detection import Face, FaceDetector
from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box
from fsh.pipeline.faces.mediapipe_landmarks import MediaPipeLandmarks
from fsh.pipeline.faces.search import detect_near
from fsh.pipeline.faces.tracking import head_inside
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.spec import FaceSpec

#: Pixels of the shorter side when the whole frame is searched.
_SEARCHED = 360
#: Seconds between two looks around a face, and between two searches while there is none.
_LOOK_EVERY, _SEARCH_EVERY = 0.1, 0.15
#: Seconds in which a window follows a head that leaves it, and how near it comes, in its sides.
_FOLLOW, _REACHED = 0.3, 0.02
#: Factor between the head's size and the window's beyond which the window changes size.
_ZOOM = 1.3


class FoundFace(NamedTuple):
    """A face in one frame.

    Attributes:
        face: one face, in pixels of the frame; None if there is none.
        detecting, landmarking: seconds that it took.
    """

    face: FaceLandmarks | None
    detecting: float
    landmarking: float


@cache
def _detector() -> FaceDetector:
    """The detector of all followers, because dlib takes a second to make one."""
    return FaceDetector()


#: Held by whoever uses the detector.
_detecting = threading.Lock()


class FaceFollower:
    """Is given the frames of a camera one by one; follows the largest face it sees first.

    Args:
        backend: used by one follower at a time.
    """

    def __init__(self, backend: LandmarkBackend) -> None:
        self._detector = _detector()
        self._backend = backend
        self._mesh = backend.following() if isinstance(backend, MediaPipeLandmarks) else None
        self._box: np.ndarray | None = None
        self._looked = self._searched = -float("inf")

    def next(self, image: np.ndarray, at: float) -> FoundFace:
        """The face in the next frame.

        Args:
            image: uint8 (H, W, 3) RGB.
            at: seconds, later than the frame before.
        """
        begun = time.perf_counter()
        face: FaceLandmarks | None = None
        if self._mesh is not None and self._box is not None:
            face = self._mesh.next(image, None)
        followed = time.perf_counter() - begun
        if face is None:
            box = self._detect(image, at)
            detected = time.perf_counter()
            if box is not None:
                face = self._landmarks(image, box)
            ended = time.perf_counter()
            times = detected - begun - followed, followed + ended - detected
        else:
            times = 0.0, followed
        self._box = None if face is None else face_box(face.points[0])
        return FoundFace(face, *times)

    def _landmarks(self, image: np.ndarray, box: np.ndarray) -> FaceLandmarks | None:
        if self._mesh is not None:
            return self._mesh.next(image, box)
        face = self._backend.landmarks(image[None], box[None])
        return face if face.found[0] else None

    def _detect(self, image: np.ndarray, at: float) -> np.ndarray | None:
        """The face's box, float32 (4,): where it was, around there, or anywhere."""
        if self._box is not None and self._mesh is None:
            if at - self._looked < _LOOK_EVERY:
                return self._box
            luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            self._looked = at
            with _detecting:
                near = detect_near(self._detector, luma, Face(self._box, 0.0))
            if near:
                return near[0].box
        elif self._box is None and 0 <= at - self._searched < _SEARCH_EVERY:
            return None
        self._searched = self._looked = at
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        height, width = luma.shape
        longer = round(max(luma.shape) * min(1.0, _SEARCHED / min(height, width)))
        with _detecting:
            found = self._detector.detect_scaled(luma, longer)
        return max(found, key=lambda face: face.side).box if found else None


@dataclass
class FollowingWindow:
    """A crop window that stands still as long as the head is inside, and follows it smoothly.

    Faces are handed on in its pixels: a head that has walked to the camera's edge is drawn in the
    middle all the same.
    """

    spec: FaceSpec
    window: tuple[float, float, float] | None = None
    _moving: bool = False
    _time: float = 0.0

    def to_window(self, face: FaceLandmarks, at: float) -> FaceLandmarks:
        """One face in pixels of a frame, in crop pixels; ``at``: seconds, increasing."""
        window = np.array(self._follow(face_box(face.points[0]), at))
        scale = self.spec.size / window[2]
        points = (face.points - window[:2] + 0.5) * scale - 0.5
        if face.mesh is None:
            return FaceLandmarks(points.astype(np.float32))
        shift = np.array([*(0.5 - window[:2]), 0])
        mesh = (face.mesh + shift) * scale - (0.5, 0.5, 0)
        return FaceLandmarks(points.astype(np.float32), mesh.astype(np.float32))

    def _follow(self, box: np.ndarray, at: float) -> tuple[float, float, float]:
        wanted = np.array(crop_window(box, self.spec), np.float64)
        step, self._time = at - self._time, at
        if self.window is None:
            self.window = tuple(wanted)
            return self.window
        now = np.array(self.window)
        grown = wanted[2] / now[2]
        inside = bool(head_inside(box[None], self.window)[0])  # type: ignore[arg-type]
        self._moving |= not inside or not 1 / _ZOOM < grown < _ZOOM
        if self._moving:
            now = now + (1 - np.exp(-step / _FOLLOW)) * (wanted - now)
            self._moving = bool(np.abs(wanted - now).max() > _REACHED * now[2])
            self.window = tuple(now)
        return self.window
