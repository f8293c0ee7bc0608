"""The 68 landmarks: which index is what, and the geometry that both sides need.

iBUG order, as in 300-W. Left and right are the picture's, not the person's. Points are x and y in
pixels, y down; what is measured here does not depend on their scale.
"""

from __future__ import annotations

import numpy as np

#: Landmarks of a face.
POINTS = 68
JAW = np.arange(0, 17)
LEFT_BROW, RIGHT_BROW = np.arange(17, 22), np.arange(22, 27)
NOSE_BRIDGE, NOSTRILS = np.arange(27, 31), np.arange(31, 36)
LEFT_EYE, RIGHT_EYE = np.arange(36, 42), np.arange(42, 48)
OUTER_LIP, INNER_LIP = np.arange(48, 60), np.arange(60, 68)
BROWS = np.concatenate([LEFT_BROW, RIGHT_BROW])
EYES = np.concatenate([LEFT_EYE, RIGHT_EYE])

CHIN, NOSE_TIP = 8, 30
#: Outer corners of the eyes, corners of the mouth.
EYE_CORNERS, MOUTH_CORNERS = (36, 45), (48, 54)
#: Upper and lower lid, point by point: two of each eye.
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
#: Points that expressions hardly move: sides of the jaw, bridge of the nose, corners of the eyes.
RIGID = np.array([0, 1, 2, 14, 15, 16, 27, 28, 29, 30, 31, 35, 36, 39, 42, 45])

_UPPER_LIP, _LOWER_LIP = np.array([61, 62, 63]), np.array([67, 66, 65])


def found(landmarks: np.ndarray) -> np.ndarray:
    """bool (N,): the faces of (N, 68, 2) whose landmarks were all found; lost ones hold NaN."""
    return np.isfinite(landmarks).all(axis=(1, 2))


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """How far the mouth is open: the gap between the inner lips over the mouth's width.

    Args:
        landmarks: (N, 68, 2).

    Returns:
        float64 (N,): 0 closed, about 0.3 talking, up to 1 wide open. The gap is the mean of three.
    """
    points = np.asarray(landmarks, np.float64)
    gaps = np.linalg.norm(points[:, _UPPER_LIP] - points[:, _LOWER_LIP], axis=2)
    left, right = MOUTH_CORNERS
    width = np.linalg.norm(points[:, left] - points[:, right], axis=1)
    return gaps.mean(axis=1) / np.maximum(width, 1e-6)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares similarity that takes points (P, 2) to points (P, 2).

    Returns:
        float64 (2, 3): rotation, uniform scale and shift; no reflection.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    a, b = source.mean(0), target.mean(0)
    # Points as complex numbers: rotation and scale are one factor.
    x, y = (source - a) @ [1, 1j], (target - b) @ [1, 1j]
    power = (np.abs(x) ** 2).sum()
    turn = (np.conj(x) * y).sum() / power if power > 0 else 1.0 + 0j
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, b - linear @ a])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A transform (2, 3) on points (…, 2)."""
    return points @ transform[:, :2].T + transform[:, 2]


def inverse(transform: np.ndarray) -> np.ndarray:
    """The transform (2, 3) that undoes another."""
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack([linear, -linear @ transform[:, 2]])
