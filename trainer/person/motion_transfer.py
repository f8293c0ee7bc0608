"""Driving one person's drawing with another's landmarks: motion travels, face shape does not.

Pure numpy. Landmarks are float (N, 68, 2), pixels.
"""

from __future__ import annotations

import numpy as np

from fsh.schemas.landmarks import POINTS, RIGID, apply, found, inverse, similarity
from fsh.schemas.mesh import MESH_POINTS, landmarks_of_mesh


def neutral_shape(landmarks: np.ndarray) -> np.ndarray:
    """A person's shape (68, 2) from T photos: aligned, averaged, put at the photos' mean pose."""
    landmarks = np.asarray(landmarks, np.float64)
    first = landmarks[0]
    aligned = [apply(similarity(points[RIGID], first[RIGID]), points) for points in landmarks]
    shape = np.mean(aligned, axis=0)
    return apply(similarity(shape, landmarks.mean(0)), shape)


def reference_frame(driver: np.ndarray, shape: np.ndarray) -> int:
    """The driver's frame that looks most like the person's shape, pose and expression alike."""
    errors = [np.abs(apply(similarity(points, shape), points) - shape).mean() for points in driver]
    return int(np.argmin(errors))


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
    shape = neutral_shape(person)
    index = reference_frame(driver, shape) if reference is None else reference
    start = driver[index]
    lay = similarity(start[RIGID], shape[RIGID])
    back = inverse(lay)
    laid = apply(lay, start)
    proportions = _extent(shape, lay) / np.maximum(_extent(laid, lay), 1e-6)
    axes = _rotation(lay)
    moved = np.empty_like(driver)
    for i, points in enumerate(driver):
        rigid = similarity(start[RIGID], points[RIGID])
        local = apply(inverse(rigid), points) - start
        local = local @ lay[:, :2].T
        local = ((local @ axes) * proportions) @ axes.T
        # lay ∘ rigid ∘ lay⁻¹: the head's motion, in the person's frame of reference.
        moved[i] = apply(lay, apply(rigid, apply(back, shape + local)))
    return moved.astype(np.float32)


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
    values = np.asarray(values, np.float64)
    out = np.empty_like(values)
    out[0], speed = values[0], np.zeros_like(values[0])
    for i in range(1, len(values)):
        step = max(float(times[i] - times[i - 1]), 1e-6)
        a = _share(slope, step)
        speed = speed + a * ((values[i] - values[i - 1]) / step - speed)
        b = _share(cutoff + beta * np.abs(speed), step)
        out[i] = out[i - 1] + b * (values[i] - out[i - 1])
    return out


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
