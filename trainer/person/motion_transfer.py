"""Driving one person's drawing with another's landmarks: motion travels, face shape does not.

Pure numpy. Landmarks are float (N, 68, 2), pixels.
"""

from __future__ import annotations

import numpy as np

#: Points that expressions hardly move: sides of the jaw, bridge of the nose, corners of the eyes.
RIGID = np.array([0, 1, 2, 14, 15, 16, 27, 28, 29, 30, 31, 35, 36, 39, 42, 45])


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity (2, 3) that takes points (P, 2) to points (P, 2).

    Rotation, uniform scale and shift; no reflection.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    a, b = source.mean(0), target.mean(0)
    x, y = (source - a) @ [1, 1j], (target - b) @ [1, 1j]
    power = (np.abs(x) ** 2).sum()
    turn = (np.conj(x) * y).sum() / power if power > 0 else 1.0 + 0j
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, b - linear @ a])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A (2, 3) transform on points (…, 2)."""
    return points @ transform[:, :2].T + transform[:, 2]


def inverse(transform: np.ndarray) -> np.ndarray:
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack([linear, -linear @ transform[:, 2]])


def neutral(landmarks: np.ndarray) -> np.ndarray:
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


def adapt(
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
        return np.empty((0, 68, 2), np.float32)
    if smooth:
        driver = steady(driver, times)
    shape = neutral(person)
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
        # lay ∘ rigid ∘ lay⁻¹: the head's motion, told in the person's frame.
        moved[i] = apply(lay, apply(rigid, apply(back, shape + local)))
    return moved.astype(np.float32)


def lock(landmarks: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Each face (N, 68, 2) shifted, turned in the plane and scaled to where another face is.

    What is left of the motion is expression and turning away: for heads put back into a picture.
    """
    pairs = zip(np.asarray(landmarks, np.float64), np.asarray(places, np.float64), strict=True)
    moved = [apply(similarity(face[RIGID], place[RIGID]), face) for face, place in pairs]
    return np.array(moved, np.float32).reshape(-1, 68, 2)


def _rotation(transform: np.ndarray) -> np.ndarray:
    """The rotation within a similarity, as columns of axes."""
    linear = transform[:, :2]
    return linear / np.sqrt(abs(np.linalg.det(linear)))


def _extent(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Width and height (2,) of a face along the driver's axes."""
    return np.ptp(points @ _rotation(transform), axis=0)


def fill_gaps(landmarks: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, int]:
    """Frames with NaN filled by interpolation over time (the ends repeat), and how many they were.

    Raises:
        ValueError: if no frame has landmarks.
    """
    landmarks = np.asarray(landmarks, np.float64)
    found = np.isfinite(landmarks).all(axis=(1, 2))
    if not found.any():
        raise ValueError("no frame has landmarks")
    flat = landmarks.reshape(len(landmarks), -1)
    known = flat[found]
    filled = np.stack(
        [np.interp(times, np.asarray(times)[found], known[:, i]) for i in range(flat.shape[1])], 1
    )
    return filled.reshape(landmarks.shape).astype(np.float32), int((~found).sum())


def one_euro(
    values: np.ndarray, times: np.ndarray, cutoff: float, beta: float, slope: float = 1.0
) -> np.ndarray:
    """The One-Euro filter (Casiez et al. 2012): low-pass that opens up when things move.

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


def steady(
    landmarks: np.ndarray, times: np.ndarray, *, cutoff: float = 4.0, beta: float = 12.0
) -> np.ndarray:
    """One-Euro forwards and backwards in time and averaged: no lag, the ends stay put.

    Speeds are measured in face heights per second, so the setting fits any resolution.
    """
    landmarks, times = np.asarray(landmarks, np.float64), np.asarray(times, np.float64)
    if len(landmarks) < 3:
        return landmarks.copy()
    unit = max(float(np.median(np.ptp(landmarks[..., 1], axis=1))), 1e-6)
    scaled = landmarks / unit
    forwards = one_euro(scaled, times, cutoff, beta)
    backwards = one_euro(scaled[::-1], times[-1] - times[::-1], cutoff, beta)[::-1]
    return (forwards + backwards) / 2 * unit
