"""Eight expressions as landmarks, computed from a person's neutral face shape.

Fine-tuned for too long on a few photos, a generator draws the photo it knows whatever the landmarks
ask for: the mouth stays shut. Photos that all show one expression cannot reveal that; drawings with
these landmarks do. Each is the face shape with one part moved, as far as faces move it. No real
person's expressions went into the numbers.

Pure numpy. Lengths are shares of the distance between the outer corners of the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsh.schemas.faces.landmarks import BROWS, EYE_CORNERS, EYES, LIDS, OUTER_LIP, POINTS

#: How far down lower lip and chin go in a wide open mouth; jaw points left out hardly move.
_OPEN = 0.28
_OPENING = {57: 1.0, 56: 0.9, 58: 0.9, 55: 0.55, 59: 0.55, 66: 1.0, 65: 0.9, 67: 0.9}
_OPENING |= {48: 0.15, 54: 0.15, 60: 0.15, 64: 0.15, 50: -0.05, 51: -0.05, 52: -0.05}
_OPENING |= {8: 0.9, 7: 0.85, 9: 0.85, 6: 0.6, 10: 0.6, 5: 0.35, 11: 0.35, 4: 0.15, 12: 0.15}
_TURN, _NOD = 20.0, 12.0  # degrees

#: How far each point lies in front of the eyes' corners: the profile of a head, roughly.
_DEPTH = np.concatenate(
    [
        -0.95 * np.abs(np.linspace(-1, 1, 17)) ** 1.5 + 0.15,  # jaw, from ear to ear
        [-0.05, 0.1, 0.17, 0.2, 0.22, 0.22, 0.2, 0.17, 0.1, -0.05],  # brows
        [0.22, 0.32, 0.42, 0.5],  # bridge of the nose
        [0.28, 0.34, 0.38, 0.34, 0.28],  # nostrils
        [0.0, 0.07, 0.08, 0.05, 0.07, 0.06, 0.05, 0.08, 0.07, 0.0, 0.06, 0.07],  # eyes
        [0.15, 0.26, 0.32, 0.33, 0.32, 0.26, 0.15, 0.24, 0.28, 0.29, 0.28, 0.24],  # outer lip
        [0.17, 0.29, 0.3, 0.29, 0.17, 0.27, 0.28, 0.27],  # inner lip
    ]
)


@dataclass(frozen=True)
class Expression:
    """A face shape with one part moved.

    Attributes:
        name: what moved.
        landmarks: float64 (68, 2), pixels of the shape it was made from.
        measured: indices of the points that show whether it was drawn.
    """

    name: str
    landmarks: np.ndarray
    measured: np.ndarray


def expressions(shape: np.ndarray) -> list[Expression]:
    """All expressions of one person's face.

    Args:
        shape: (68, 2) the person's neutral landmarks, any pixels, y down.
    """
    shape = np.asarray(shape, np.float64)
    left_eye, right_eye = EYE_CORNERS
    across = shape[right_eye] - shape[left_eye]
    unit = float(np.linalg.norm(across))
    right = across / unit
    down = np.array([-right[1], right[0]])

    def moved(by: dict[int, np.ndarray]) -> np.ndarray:
        points = shape.copy()
        for index, step in by.items():
            points[index] += step
        return points

    wide = {48: -right, 54: right, 60: -right, 64: right}
    smile = {i: unit * (0.10 * side - 0.06 * down) for i, side in wide.items()}
    lids = {up: 0.9 * (shape[low] - shape[up]) for up, low in LIDS}
    opening = {i: _OPEN * unit * share * down for i, share in _OPENING.items()}
    half = {i: step / 2 for i, step in opening.items()}
    brows = {int(i): -0.10 * unit * down for i in BROWS}
    whole = np.arange(POINTS)
    return [
        Expression("mouth open", moved(opening), OUTER_LIP),
        Expression("mouth half open", moved(half), OUTER_LIP),
        Expression("smile", moved(smile), OUTER_LIP),
        Expression("eyes closed", moved(lids), EYES),
        Expression("brows up", moved(brows), BROWS),
        Expression("turned left", _turned(shape, right, down, -_TURN, 0.0), whole),
        Expression("turned right", _turned(shape, right, down, _TURN, 0.0), whole),
        Expression("nodding", _turned(shape, right, down, 0.0, _NOD), whole),
    ]


def _turned(
    shape: np.ndarray, right: np.ndarray, down: np.ndarray, yaw: float, pitch: float
) -> np.ndarray:
    """The shape with its head turned: to the image's right, and downwards, in degrees."""
    left_eye, right_eye = EYE_CORNERS
    middle = (shape[left_eye] + shape[right_eye]) / 2
    unit = float(np.linalg.norm(shape[right_eye] - shape[left_eye]))
    local = (shape - middle) @ np.stack([right, down], 1)
    # Depth is foreshortened in the photo already if it shows a turned head; it need not be exact.
    x, y, z = local[:, 0], local[:, 1], _DEPTH * unit
    turn, nod = np.deg2rad(yaw), np.deg2rad(pitch)
    x, z = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
    y = y * np.cos(nod) + z * np.sin(nod)
    return middle + np.outer(x, right) + np.outer(y, down)
