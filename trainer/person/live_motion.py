"""A person moved by a driver whose faces come one by one: nothing looks ahead.

The causal half of what films do with a whole driver: One Euro forwards only, a lost face bridged by
the last one, and a reference face that is found while the driver moves, or given by calibration.
The transfer is that of :mod:`fsh.trainer.person.mesh_transfer` and
:mod:`fsh.trainer.person.motion_transfer`. Pure numpy.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fsh.schemas.faces.landmarks import POINTS
from fsh.schemas.faces.mesh import landmarks_of_mesh, mirrored_face
from fsh.trainer.person.motion_transfer import OneEuroFilter, unlikeness

#: The One Euro filter's setting: Hz at rest, and Hz per face height a second. Forwards only, that
#: of films would be 34 ms late on a newsreader's face; this one is 17 ms late, and takes out a
#: third of the trembling instead of almost half.
_CUTOFF, _BETA = 8.0, 24.0

#: A face replaces the reference if it is so much more like the person.
_BETTER = 0.8
#: Seconds in which the person glides from one reference to the next, so that nothing jumps.
_GLIDE = 0.25
#: Seconds of faces that a calibration averages.
_CALIBRATED = 0.4
#: Seconds for which a lost face is bridged, and after which another person may have come.
BRIDGED, _GONE = 0.5, 2.0


class FaceTransfer(Protocol):
    """What puts a driver's face on a person: meshes on meshes, or landmarks on landmarks."""

    shape: np.ndarray

    def start_at(self, reference: np.ndarray) -> None: ...

    def moved(self, points: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True)
class SmoothedFace:
    """A driver's face at one moment.

    Attributes:
        points: float64 (478, 3) or (68, 2), pixels.
        delay: seconds that it lags behind the camera: by smoothing, and by age where it is bridged.
        bridged: whether it is the last one known, because there is none in this frame.
        anew: whether the driver begins here, or came back after having been away for long.
    """

    points: np.ndarray
    delay: float
    bridged: bool
    anew: bool


class LiveSmoothing:
    """The driver's faces without the detector's jitter and without short gaps.

    Args:
        smooth: take out the jitter (One Euro).
    """

    def __init__(self, smooth: bool = True) -> None:
        self._smooth = smooth
        self._filter: OneEuroFilter | None = None
        self._last: np.ndarray | None = None
        self._seen = -np.inf

    def next(self, points: np.ndarray | None, time: float) -> SmoothedFace | None:
        """The face to draw for a new frame; None if there is none, nor has been for 0.5 s.

        Args:
            points: (478, 3) or (68, 2) pixels of a window that does not jump; None: no face.
            time: seconds, later than the frame before.
        """
        away = time - self._seen
        if points is None:
            if self._last is None or away > BRIDGED:
                return None
            return SmoothedFace(self._last, away, bridged=True, anew=False)
        points = np.asarray(points, np.float64)
        if self._filter is None or away > BRIDGED:
            # Speeds are measured in face heights.
            self._unit = max(float(np.ptp(points[:, 1])), 1e-6)
            self._filter = OneEuroFilter(_CUTOFF, _BETA)
        anew, self._seen = away > _GONE, time
        smoothed = self._filter.next(points / self._unit, time) * self._unit
        self._last = smoothed if self._smooth else points
        delay = self._filter.delay if self._smooth else 0.0
        return SmoothedFace(self._last, delay, bridged=False, anew=anew)


class LiveMotion:
    """One person's face in every frame of a live driver.

    The reference, in which the person is as in the photos, is the driver's face most like them so
    far, until :meth:`calibrate` says which; the person glides to a new one.
    """

    def __init__(self, transfer: FaceTransfer) -> None:
        self._transfer = transfer
        self._recent: deque[tuple[float, np.ndarray]] = deque(maxlen=60)
        self._time = -np.inf
        self._begin()

    def _begin(self) -> None:
        self._wanted: np.ndarray | None = None
        self._reference: np.ndarray | None = None
        self._error, self._calibrated = np.inf, False

    def use(self, transfer: FaceTransfer) -> None:
        """From now on move another person; what is known of the driver stays."""
        self._transfer, self._reference = transfer, None
        if self._wanted is not None and not self._calibrated:
            self._error = self._unlikeness(self._wanted)

    def move(self, face: SmoothedFace, time: float) -> np.ndarray:
        """The person's face, float32 (478, 3) or (68, 2); ``time``: seconds, increasing."""
        other = self._wanted is not None and self._wanted.shape != face.points.shape
        if other or (face.anew and not self._calibrated):
            self._begin()
        if not face.bridged or self._wanted is None:
            self._recent.append((time, face.points))
            if not self._calibrated:
                self._consider(face.points)
        self._glide(time)
        return self._transfer.moved(face.points).astype(np.float32)

    def calibrate(self) -> bool:
        """Take the driver's face of the last moments as the reference; False if none is known."""
        if not self._recent:
            return False
        last, shape = self._recent[-1][0], self._recent[-1][1].shape
        recent = [x for at, x in self._recent if last - at <= _CALIBRATED and x.shape == shape]
        self._wanted, self._calibrated = np.mean(recent, axis=0), True
        return True

    def search(self) -> None:
        """Find the reference by itself again."""
        self._calibrated, self._error = False, np.inf

    def mirror(self) -> None:
        """From now on the driver's faces come mirrored, or no longer: the reference as well."""
        self._recent = deque(((at, mirrored_face(x, 0)) for at, x in self._recent), maxlen=60)
        if self._wanted is not None:
            self._wanted = mirrored_face(self._wanted, 0)
        self._reference = None

    def _consider(self, points: np.ndarray) -> None:
        error = self._unlikeness(points)
        if error < _BETTER * self._error:
            self._wanted, self._error = points, error

    def _unlikeness(self, points: np.ndarray) -> float:
        landmarks = points if len(points) == POINTS else landmarks_of_mesh(points)
        return unlikeness(landmarks, self._transfer.shape)

    def _glide(self, time: float) -> None:
        """Move the reference towards the one that is wanted."""
        share = 1 - np.exp(-(time - self._time) / _GLIDE)
        self._time = time
        if self._wanted is None or self._reference is self._wanted:
            return
        if self._reference is None or np.abs(self._wanted - self._reference).max() < 0.05:
            self._reference = self._wanted
        else:
            self._reference = self._reference + share * (self._wanted - self._reference)
        self._transfer.start_at(self._reference)
