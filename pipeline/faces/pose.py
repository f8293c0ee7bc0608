"""Yaw, pitch and roll of a head from its mesh, or from its 68 landmarks and a generic head."""

from __future__ import annotations

import cv2
import numpy as np

from fsh.schemas.faces.mesh import place_mesh

#: A generic head in millimetres: iBUG index → x (to the picture's right), y (down), z (away from
#: the camera), from the middle between the eyes' outer corners. Rounded average adult proportions.
INNER_FACE = {
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
#: The same with the chin and the ends of the jaw, below the ears.
WHOLE_FACE = {**INNER_FACE, 8: (0, 118, -14), 0: (-72, 5, 60), 16: (72, 5, 60)}


def rotation_matrix(yaw: float, pitch: float, roll: float) -> np.ndarray:
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


def euler_angles(rotation: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of a rotation (3, 3); inverse of :func:`rotation_matrix`."""
    facing = -rotation[:, 2]
    yaw = float(np.degrees(np.arctan2(facing[0], -facing[2])))
    pitch = float(np.degrees(np.arcsin(np.clip(facing[1], -1, 1))))
    rest = rotation_matrix(yaw, pitch, 0).T @ rotation
    return yaw, pitch, float(np.degrees(np.arctan2(rest[1, 0], rest[0, 0])))


def camera_matrix(size: int) -> np.ndarray:
    """The pinhole camera (3, 3) assumed behind a crop: a focal length of four crop sides.

    A crop is a small part of a picture taken from a step or two away, so perspective is weak.

    Args:
        size: side of the crop, pixels.
    """
    middle = (size - 1) / 2
    return np.array([[4.0 * size, 0, middle], [0, 4.0 * size, middle], [0, 0, 1]])


def head_pose(points: np.ndarray, size: int) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of a face with (68, 2) landmarks in a crop of that size.

    Each angle is fitted to the points that determine it. The jaw's ends slide round the head as it
    turns and would hide a quarter of the yaw; without them a smile or a long nose passes for 30
    degrees of pitch. Noses and jaws differ, so expect errors of about 5 degrees.

    Returns:
        Signs as in :func:`rotation_matrix`. NaN if the landmarks are not finite or no pose fits.
    """
    yaw, *_ = _fit_pose(points, size, INNER_FACE)
    _, pitch, roll = _fit_pose(points, size, WHOLE_FACE)
    return yaw, pitch, roll


def head_poses(points: np.ndarray, size: int, mesh: np.ndarray | None = None) -> np.ndarray:
    """Yaw, pitch and roll in degrees of N faces in crops of that size, float64 (N, 3).

    Args:
        points: (N, 68, 2) landmarks, for :func:`head_pose`.
        mesh: (N, 478, 3), which tells more: a mean head is fitted to it. None if there is none.

    Returns:
        Signs as in :func:`rotation_matrix`; NaN where there is no face.
    """
    if mesh is None:
        return np.array([head_pose(face, size) for face in points]).reshape(-1, 3)
    poses = np.full((len(mesh), 3), np.nan)
    for row in np.flatnonzero(np.isfinite(mesh).all(axis=(1, 2))):
        poses[row] = euler_angles(place_mesh(mesh[row]).rotation)
    return poses


def _fit_pose(
    points: np.ndarray, size: int, head: dict[int, tuple[int, int, int]]
) -> tuple[float, float, float]:
    """Yaw, pitch and roll by perspective-n-point (SQPnP) on a model's points."""
    image = np.asarray(points, np.float64)[list(head)]
    if not np.isfinite(image).all():
        return (float("nan"),) * 3
    model = np.array([*head.values()], np.float64)
    solved, turn, _ = cv2.solvePnP(
        model, image, camera_matrix(size), None, flags=cv2.SOLVEPNP_SQPNP
    )
    return euler_angles(cv2.Rodrigues(turn)[0]) if solved else (float("nan"),) * 3
