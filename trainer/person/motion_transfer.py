"""Driving one person's drawing with another's landmarks: motion travels, face shape does not.

Pure numpy. Landmarks are float (N, 68, 2), pixels.
"""

from __future__ import annotations

import numpy as np

from fsh.schemas.faces.landmarks import POINTS, RIGID, apply, found, inverse, similarity
from fsh.schemas.faces.mesh import MESH_POINTS, landmarks_of_mesh


def neutral_shape(landmarks: np.ndarray) -> np.ndarray:
    """A person's shape (68, 2) from T photos: aligned, averaged, put at the photos' mean pose."""
    landmarks = np.asarray(landmarks, np.float64)
    first = landmarks[0]
    aligned = [apply(similarity(points[RIGID], first[RIGID]), points) for points in landmarks]
    shape = np.mean(aligned, axis=0)
    return apply(similarity(shape, landmarks.mean(0)), shape)


def reference_frame(driver: np.ndarray, shape: np.ndarray) -> int:
    """The driver's frame that looks most like the person's shape, pose and expression alike."""
    return int(np.argmin([unlikeness(points, shape) for points in driver]))


def unlikeness(points: np.ndarray, shape: np.ndarray) -> float:
    """Mean distance of a face (68, 2) from a shape (68, 2) that it is laid onto, in its unit."""
    return float(np.abs(apply(similarity(points, shape), points) - shape).mean())


def transfer_motion(
    driver: np.ndarray,
    times: np.ndarray,
    person: np.ndarray,
    *,
    smooth: bool = True,
    reference: int | None = None,
) -> np.ndarray:
    """The person's landmarks, moved as the driver moves.

    The driver's reference frame is laid onto the person's own shape; from there, rigid motion of
    the head (shift, turn in the image plane, size) is kept as it is, and what remains (turning
    away, expression) is added to the person's shape, scaled by the two faces' proportions.

    Args:
        driver: (N, 68, 2), without gaps (see :func:`fill_gaps`).
        times: (N,) seconds.
        person: (T, 68, 2), the photos' landmarks, in the pixels wanted.
        smooth: take out the landmark detector's jitter first.
        reference: the driver's reference frame; None finds the most fitting one.

    Returns:
        float32 (N, 68, 2).
    """
    driver = np.asarray(driver, np.float64)
    if not len(driver):
        return np.empty((0, POINTS, 2), np.float32)
    if smooth:
        driver = smooth_landmarks(driver, times)
    transfer = MotionTransfer(person)
    index = reference_frame(driver, transfer.shape) if reference is None else reference
    transfer.start_at(driver[index])
    return np.array([transfer.moved(points) for points in driver], np.float32)


class MotionTransfer:
    """:func:`transfer_motion` face by face, from a reference face that is given.

    Args:
        person: (T, 68, 2), the photos' landmarks, in the pixels wanted.

    Attributes:
        shape: float64 (68, 2), the person's own.
    """

    def __init__(self, person: np.ndarray) -> None:
        self.shape = neutral_shape(person)

    def start_at(self, reference: np.ndarray) -> None:
        """From now on motion counts from this face of the driver's, (68, 2)."""
        self._start = np.asarray(reference, np.float64)
        self._lay = similarity(self._start[RIGID], self.shape[RIGID])
        self._back = inverse(self._lay)
        laid = apply(self._lay, self._start)
        own = _extent(self.shape, self._lay)
        self._proportions = own / np.maximum(_extent(laid, self._lay), 1e-6)
        self._axes = _rotation(self._lay)

    def moved(self, points: np.ndarray) -> np.ndarray:
        """The person's landmarks, float64 (68, 2), for one face of the driver's, (68, 2)."""
        rigid = similarity(self._start[RIGID], points[RIGID])
        local = apply(inverse(rigid), points) - self._start
        local = local @ self._lay[:, :2].T
        local = ((local @ self._axes) * self._proportions) @ self._axes.T
        # lay ∘ rigid ∘ lay⁻¹: the head's motion, in the person's frame of reference.
        return apply(self._lay, apply(rigid, apply(self._back, self.shape + local)))


def follow_head_pose(landmarks: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Each face (N, 68, 2) shifted, turned in the plane and scaled to where a target's face is.

    What is left of the motion is expression and turning away: for heads put back into a picture.

    Args:
        target: (N, 68, 2) the target's landmarks.

    Returns:
        float32 (N, 68, 2).
    """
    pairs = zip(np.asarray(landmarks, np.float64), np.asarray(target, np.float64), strict=True)
    moved = [apply(similarity(face[RIGID], place[RIGID]), face) for face, place in pairs]
    return np.array(moved, np.float32).reshape(-1, POINTS, 2)


def _rotation(transform: np.ndarray) -> np.ndarray:
    """The rotation within a similarity, as columns of axes."""
    linear = transform[:, :2]
    return linear / np.sqrt(abs(np.linalg.det(linear)))


def _extent(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Width and height (2,) of a face along the driver's axes."""
    return np.ptp(points @ _rotation(transform), axis=0)


def fill_gaps(landmarks: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, int]:
    """Frames without landmarks filled by linear interpolation over time; the ends repeat.

    Args:
        landmarks: (N, 68, 2), or meshes (N, 478, 3); NaN in frames without a face.
        times: (N,) seconds.

    Returns:
        float32 of the same shape, and how many frames were filled.

    Raises:
        ValueError: if no frame has landmarks.
    """
    landmarks = np.asarray(landmarks, np.float64)
    known = found(landmarks)
    if not known.any():
        raise ValueError("no frame has landmarks")
    flat = landmarks.reshape(len(landmarks), -1)
    at, values = np.asarray(times)[known], flat[known]
    filled = np.stack([np.interp(times, at, values[:, i]) for i in range(flat.shape[1])], 1)
    return filled.reshape(landmarks.shape).astype(np.float32), int((~known).sum())


def one_euro_filter(
    values: np.ndarray, times: np.ndarray, cutoff: float, beta: float, slope: float = 1.0
) -> np.ndarray:
    """The One-Euro filter (Casiez et al. 2012): a low-pass whose cutoff rises with the speed.

    Args:
        values: (N, …). times: (N,) seconds, increasing, steps of any length.
        cutoff: Hz at rest. beta: Hz per unit of speed. slope: Hz of the speed's own low-pass.
    """
    filtered = OneEuroFilter(cutoff, beta, slope)
    pairs = zip(np.asarray(values, np.float64), times, strict=True)
    return np.array([filtered.next(value, float(time)) for value, time in pairs])


class OneEuroFilter:
    """:func:`one_euro_filter` value by value, as they come.

    Attributes:
        delay: seconds by which the last value lags behind, weighted by how fast its parts move.
    """

    def __init__(self, cutoff: float, beta: float, slope: float = 1.0) -> None:
        self._cutoff, self._beta, self._slope = cutoff, beta, slope
        self._time: float | None = None
        self.delay = 0.0

    def next(self, value: np.ndarray, time: float) -> np.ndarray:
        """The filtered value of the next one; ``time``: seconds, later than the one before."""
        value = np.asarray(value, np.float64)
        if self._time is None:
            self._speed, self._raw, self._out = np.zeros_like(value), value, value
        else:
            step = max(time - self._time, 1e-6)
            a = _share(self._slope, step)
            self._speed = self._speed + a * ((value - self._raw) / step - self._speed)
            b = _share(self._cutoff + self._beta * np.abs(self._speed), step)
            # A first-order low-pass follows a steady motion so many steps late.
            late, weight = (1 - b) / b * step, np.abs(self._speed) + 1e-12
            self.delay = float((late * weight).sum() / weight.sum())
            self._raw, self._out = value, self._out + b * (value - self._out)
        self._time = time
        return self._out


def _share(cutoff, step: float):
    """Weight of the new value of a first-order low-pass after ``step`` seconds."""
    return 1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff * step))


def smooth_landmarks(
    landmarks: np.ndarray, times: np.ndarray, *, cutoff: float = 4.0, beta: float = 12.0
) -> np.ndarray:
    """One-Euro forwards and backwards in time and averaged: no lag, the ends stay put.

    Speeds are measured in face heights per second, so the setting fits any resolution.

    Args:
        landmarks: (N, 68, 2), or meshes (N, 478, 3); finite. times: (N,) seconds.
        cutoff, beta: as for :func:`one_euro_filter`; beta per face height a second.

    Returns:
        float64 of the same shape.
    """
    landmarks, times = np.asarray(landmarks, np.float64), np.asarray(times, np.float64)
    if len(landmarks) < 3:
        return landmarks.copy()
    faces = landmarks_of_mesh(landmarks) if landmarks.shape[1] == MESH_POINTS else landmarks
    unit = max(float(np.median(np.ptp(faces[..., 1], axis=1))), 1e-6)
    scaled = landmarks / unit
    forwards = one_euro_filter(scaled, times, cutoff, beta)
    backwards = one_euro_filter(scaled[::-1], times[-1] - times[::-1], cutoff, beta)[::-1]
    return (forwards + backwards) / 2 * unit
