"""How good a face track is: pure functions on crops, landmarks and embeddings.

Their names are the columns of :data:`fsh.schemas.tables.CLIPS`. Nothing is judged here: scores are
stored for every track, and the thresholds come later.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

#: A generic head in millimetres: iBUG index → x (to the picture's right), y (down), z (away from
#: the camera), from the middle between the eyes' outer corners. Rounded average adult proportions.
INNER = {
    27: (0, -2, -21),  # root of the nose
    28: (0, 11, -28),
    29: (0, 24, -36),
    30: (0, 37, -43),  # tip of the nose
    31: (-15, 47, -22),  # nostril on the picture's left
    33: (0, 50, -30),  # base of the nose
    35: (15, 47, -22),
    36: (-45, 0, 0),  # outer corner of the eye on the picture's left
    39: (-17, 2, -8),
    42: (17, 2, -8),
    45: (45, 0, 0),
    48: (-26, 74, -18),  # corners of the mouth
    54: (26, 74, -18),
}
#: With the chin and the ends of the jaw, below the ears.
WHOLE = {**INNER, 8: (0, 118, -14), 0: (-72, 5, 60), 16: (72, 5, 60)}

#: Sharpness falls with this power of the crop's size (by 3.7 and 2.8 per doubling, measured).
SHARPNESS_FALL = 1.7


def luma(frame: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) RGB to uint8 (H, W), Rec. 601."""
    return cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)


def face_mask(points: np.ndarray, size: int) -> np.ndarray:
    """bool (size, size): inside the convex hull of finite (68, 2) landmarks; brows to chin."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return mask.astype(bool)


def sharpness(gray: np.ndarray, mask: np.ndarray) -> float:
    """Variance of the 3×3 Laplacian of the face's luma (0 to 255), at the crop's resolution.

    It depends on that resolution: the median over talking-head clips is about 130 at 256 px, 480
    at 128 px and 1350 at 64 px. The filter makes up for that by :data:`SHARPNESS_FALL`.
    """
    return _of_face(cv2.Laplacian(gray, cv2.CV_32F), mask, np.var)


def brightness(gray: np.ndarray, mask: np.ndarray) -> float:
    """Mean luma of the face, 0 to 1."""
    return _of_face(gray, mask, np.mean) / 255


def contrast(gray: np.ndarray, mask: np.ndarray) -> float:
    """Standard deviation of the face's luma, 0 to 1 (at most 0.5)."""
    return _of_face(gray, mask, np.std) / 255


def _of_face(
    values: np.ndarray, mask: np.ndarray, statistic: Callable[[np.ndarray], np.floating]
) -> float:
    """A statistic of the values under the mask, NaN if the mask is empty."""
    inside = values[mask]
    return float(statistic(inside.astype(np.float64))) if inside.size else float("nan")


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The rotation (3, 3) of a head, in camera axes (right, down, away).

    Args:
        yaw: degrees, positive: the face turns to the viewer's right.
        pitch: degrees, positive: it looks down.
        roll: degrees, positive: it tilts clockwise, as the viewer sees it.
    """
    y, p, r = np.radians([-yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def angles(turn: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of a head's rotation; the inverse of :func:`rotation`."""
    facing = -turn[:, 2]
    yaw = float(np.degrees(np.arctan2(facing[0], -facing[2])))
    pitch = float(np.degrees(np.arcsin(np.clip(facing[1], -1, 1))))
    rest = rotation(yaw, pitch, 0).T @ turn
    return yaw, pitch, float(np.degrees(np.arctan2(rest[1, 0], rest[0, 0])))


def camera(size: int) -> np.ndarray:
    """The pinhole camera (3, 3) assumed behind a crop: a focal length of four crop sides.

    A crop is a small part of a picture taken from a step or two away, so perspective is weak.
    """
    middle = (size - 1) / 2
    return np.array([[4.0 * size, 0, middle], [0, 4.0 * size, middle], [0, 0, 1]])


def head_pose(points: np.ndarray, size: int) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of a face with (68, 2) landmarks in a crop of that size.

    Each angle comes from the points that tell it. The jaw's ends slide round the head as it turns
    and would hide a quarter of the yaw; without them a smile or a long nose passes for 30 degrees
    of pitch. Noses and jaws differ, so expect errors of about 5 degrees.

    Returns:
        Signs as in :func:`rotation`. NaN if the landmarks are not finite or no pose fits.
    """
    yaw, *_ = _fit(points, size, INNER)
    _, pitch, roll = _fit(points, size, WHOLE)
    return yaw, pitch, roll


def _fit(
    points: np.ndarray, size: int, head: dict[int, tuple[int, int, int]]
) -> tuple[float, float, float]:
    image = np.asarray(points, np.float64)[list(head)]
    if not np.isfinite(image).all():
        return (float("nan"),) * 3
    model = np.array([*head.values()], np.float64)
    found, turn, _ = cv2.solvePnP(model, image, camera(size), None, flags=cv2.SOLVEPNP_SQPNP)
    return angles(cv2.Rodrigues(turn)[0]) if found else (float("nan"),) * 3


def mouth_opening(points: np.ndarray) -> np.ndarray:
    """Height of the gap between the inner lips as a share of the mouth's width.

    Args:
        points: (N, 68, 2) landmarks.

    Returns:
        float64 (N,): 0 closed, about 0.3 talking, up to 1 wide open.
    """
    points = np.asarray(points, np.float64)
    gaps = np.linalg.norm(points[:, [61, 62, 63]] - points[:, [67, 66, 65]], axis=2)
    width = np.linalg.norm(points[:, 48] - points[:, 54], axis=1)
    return gaps.mean(axis=1) / np.maximum(width, 1e-6)


def frame_difference(grays: np.ndarray) -> float:
    """Mean absolute luma difference of consecutive frames, 0 to 1; NaN for fewer than two.

    Args:
        grays: uint8 (N, H, W).
    """
    if len(grays) < 2:
        return float("nan")
    steps = [cv2.absdiff(a, b).mean(dtype=np.float64) for a, b in pairwise(grays)]
    return float(np.mean(steps)) / 255


def identity_consistency(embeddings: np.ndarray) -> float:
    """Smallest cosine similarity between any two embeddings (N, 128); NaN for fewer than two."""
    if len(embeddings) < 2:
        return float("nan")
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return float((unit @ unit.T).min())


def score_track(
    frames: np.ndarray, landmarks: np.ndarray, embeddings: np.ndarray | None = None
) -> dict[str, float]:
    """Every score of a track, under the names of the CLIPS columns.

    Args:
        frames: uint8 (N, S, S, 3) RGB crops of one window.
        landmarks: float32 (N, 68, 2) in crop pixels; frames with NaN count only for the
            frame difference.
        embeddings: float32 (M, 128) of some of the frames, or None.

    Returns:
        sharpness, brightness, contrast, yaw, pitch, roll: medians over the frames. pose_range:
        degrees between the 5th and 95th percentile of yaw. mouth_motion, frame_difference,
        identity_consistency. NaN where there is too little to say.
    """
    size = frames.shape[1]
    grays = np.stack([luma(frame) for frame in frames])
    found = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    rows = []
    for i in found:
        mask = face_mask(landmarks[i], size)
        look = [measure(grays[i], mask) for measure in (sharpness, brightness, contrast)]
        rows.append([*look, *head_pose(landmarks[i], size)])
    table = np.array(rows, np.float64).reshape(-1, 6)
    names = ("sharpness", "brightness", "contrast", "yaw", "pitch", "roll")
    scores = {name: _median(column) for name, column in zip(names, table.T, strict=True)}
    yaw = table[np.isfinite(table[:, 3]), 3]
    low, high = np.percentile(yaw, [5, 95]) if yaw.size else (np.nan, np.nan)
    opening = mouth_opening(landmarks[found])
    return scores | {
        "pose_range": float(high - low),
        "mouth_motion": float(opening.std()) if opening.size > 1 else float("nan"),
        "frame_difference": frame_difference(grays),
        "identity_consistency": identity_consistency(embeddings)
        if embeddings is not None
        else float("nan"),
    }


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
