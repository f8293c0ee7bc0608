"""Photos made to act: what a face would look like with the mouth open, the head turned, a smile.

One photo shows one expression; a generator fine-tuned on it learns that whatever the landmarks say,
this is the face. Photos bent to other expressions' landmarks say the opposite. They are as right
as a bent photo is: lips, lids and outlines are where the landmarks are, a mouth that the photo
shows shut opens on something dark.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from fsh.schemas.clip import FaceClip
from fsh.trainer.person.expressions import MOUTH, expressions
from fsh.trainer.person.motion_transfer import neutral

#: Places a side where the bend is worked out; between them it is interpolated.
_GRID = 33
#: Points that stay, along each side of the picture.
_STILL = 5
_INNER_LIP = np.arange(60, 68)
#: Share of a turn that a picture can be bent by: the far cheek is behind the nose soon.
_TURNED = 0.35
#: Opening of the inner lip over its width at which a mouth shows its inside.
_SHUT = 0.10


def acted_copies(clip: FaceClip, copies: int, seed: int) -> FaceClip:
    """Each frame of a clip ``copies`` times, bent to mixtures of expressions.

    Returns:
        A clip of ``copies × len(clip)`` frames; the same seed gives the same copies.
    """
    rng = np.random.default_rng(seed)
    shape = neutral(clip.landmarks)
    steps = {e.name: e.points - shape for e in expressions(shape)}
    frames, points = [], []
    for frame, landmarks in zip(clip.frames, clip.landmarks, strict=True):
        for _ in range(copies):
            moved = landmarks + mixture(rng, steps)
            frames.append(bent(frame, landmarks, moved))
            points.append(moved)
    return FaceClip(
        name=f"{clip.name}, acted",
        frames=np.stack(frames),
        landmarks=np.stack(points).astype(np.float32),
        times=np.arange(len(frames), dtype=np.float64),
        crops=np.repeat(clip.crops, copies, axis=0),
        spec=clip.spec,
    )


def mixture(rng: np.random.Generator, steps: Mapping[str, np.ndarray]) -> np.ndarray:
    """A random expression (68, 2): each step by some share, often not at all.

    The mouth, of which one photo tells least, mostly opens.

    Args:
        steps: name of an expression to how far each point goes, (68, 2).
    """
    drawn = rng.uniform(0, 1, len(steps)) * (rng.random(len(steps)) < 0.5)
    shares = dict(zip(steps, drawn, strict=True))
    shares["mouth open"] = rng.uniform() * (rng.random() < 0.7)
    shares["mouth half open"] = 0.0  # is the same motion
    shares["smile"] *= rng.choice([-1, 1])  # or lips drawn in
    shares["turned left"] *= _TURNED * (shares["turned right"] == 0)
    shares["turned right"] *= _TURNED
    return sum((share * steps[name] for name, share in shares.items()), np.zeros((68, 2)))


def bent(frame: np.ndarray, landmarks: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """A picture uint8 (H, H, 3) whose face has its landmarks (68, 2) at ``moved``.

    A thin-plate spline over landmarks and the picture's edge, which stays.
    """
    side = len(frame)
    ends = np.linspace(0, side - 1, _STILL)
    edge = np.array([(x, y) for x in ends for y in ends if {x, y} & {ends[0], ends[-1]}])
    places, sources = np.concatenate([moved, edge]), np.concatenate([landmarks, edge])
    field = RBFInterpolator(places, sources - places, kernel="thin_plate_spline", smoothing=1.0)
    axis = np.linspace(0, side - 1, _GRID)
    grid = np.stack(np.meshgrid(axis, axis), -1)
    coarse = field(grid.reshape(-1, 2)).reshape(_GRID, _GRID, 2).astype(np.float32)
    # Grid points are at the pixels' centers, the first and last on the picture's edge.
    rows, columns = np.mgrid[:side, :side].astype(np.float32) * ((_GRID - 1) / (side - 1))
    offset = cv2.remap(coarse, columns, rows, cv2.INTER_LINEAR)
    x, y = np.arange(side, dtype=np.float32)[None, :], np.arange(side, dtype=np.float32)[:, None]
    across, down = offset[..., 0] + x, offset[..., 1] + y
    made = cv2.remap(frame, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return _opened(made, frame, landmarks, moved)


def _opened(
    made: np.ndarray, frame: np.ndarray, landmarks: np.ndarray, moved: np.ndarray
) -> np.ndarray:
    """Something dark between lips that the photo shows shut."""
    before, after = _opening(landmarks), _opening(moved)
    if before > _SHUT or after <= before:
        return made
    inside = np.zeros(made.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(moved[_INNER_LIP] * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    lips = np.zeros(made.shape[:2], np.uint8)
    cv2.fillPoly(lips, [np.rint(landmarks[MOUTH]).astype(np.int32)], 255)
    shown = frame[lips > 0]
    if not len(shown):
        return made
    dark = np.percentile(shown, 5, axis=0) * 0.6
    width = float(np.linalg.norm(moved[64] - moved[60]))
    soft = cv2.GaussianBlur(inside, (0, 0), max(0.5, 0.03 * width))[..., None] / 255.0
    return (made + soft * (dark - made)).round().astype(np.uint8)


def _opening(points: np.ndarray) -> float:
    """The inner lip's height over its width."""
    height, width = (float(np.linalg.norm(points[a] - points[b])) for a, b in ((62, 66), (64, 60)))
    return height / max(width, 1e-6)
