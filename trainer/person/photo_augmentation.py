"""Copies of a person's photos that show what the photos do not: other expressions, other places.

One photo shows one expression; a generator fine-tuned on it learns that whatever the landmarks ask
for, this is the face. Copies warped to other expressions' landmarks show that the landmarks decide.
They are as right as a warped photo is: lips, lids and outlines are where the landmarks are, and a
mouth that the photo shows shut opens on something dark. Moved copies show the face at other places.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.landmarks import INNER_LIP, OUTER_LIP, POINTS, apply, mouth_opening
from fsh.trainer.person.expressions import expressions
from fsh.trainer.person.motion_transfer import neutral_shape

#: Moved copies: largest turn (degrees), change of size (share) and shift (share of the side).
TURN, ZOOM, SHIFT = 10.0, 0.10, 0.06
#: Places a side where the warp is worked out; between them it is interpolated.
_GRID = 33
#: Points along each side of the picture that stay where they are.
_FIXED = 5
#: Share of a turn by 20° that a picture can be warped by: beyond it the far cheek is behind the
#: nose.
_TURNED = 0.35
#: :func:`~fsh.schemas.faces.landmarks.mouth_opening` up to which a mouth hides its inside: what
#: agrees best, on 461 faces, with a gap between the inner lips of a tenth of the inner lips' width.
_SHUT = 0.083


def expression_copies(clip: FaceClip, copies: int, seed: int) -> FaceClip:
    """Each frame of a clip ``copies`` times, warped to random mixtures of expressions.

    Returns:
        A clip of ``copies × len(clip)`` frames; the same seed gives the same copies.
    """
    rng = np.random.default_rng(seed)
    shape = neutral_shape(clip.landmarks)
    steps = {e.name: e.landmarks - shape for e in expressions(shape)}
    frames, landmarks, meshes, real = [], [], [], []
    for i, (frame, before) in enumerate(zip(clip.frames, clip.landmarks, strict=True)):
        for _ in range(copies):
            after = before + random_expression(rng, steps)
            real.append(warp_window(_real(clip, i), before, after, len(frame)))
            frames.append(warp_face(frame, before, after))
            landmarks.append(after)
            if clip.mesh is not None:
                meshes.append(warp_mesh(clip.mesh[i], before, after, len(frame)))
    return _copies(f"{clip.name}, other expressions", clip, frames, landmarks, meshes, real)


def moved_copies(clip: FaceClip, copies: int, seed: int) -> FaceClip:
    """Each frame of a clip ``copies`` times: turned, scaled and shifted, with its landmarks.

    Pixels from outside are mirrored, and not part of what is real of a copy: an upright rectangle,
    of which a turn leaves somewhat less. Pose and expression stay what they are, so such copies
    tell whether a person is drawn right where the photo did not show them, but nothing about
    expressions.

    Returns:
        A clip of ``copies × len(clip)`` frames; the same seed gives the same copies.
    """
    rng = np.random.default_rng(seed)
    size = clip.spec.size
    middle = ((size - 1) / 2, (size - 1) / 2)
    frames, landmarks, meshes, real = [], [], [], []
    for i, (frame, before) in enumerate(zip(clip.frames, clip.landmarks, strict=True)):
        for _ in range(copies):
            turn, zoom = rng.uniform(-TURN, TURN), 1 + rng.uniform(-ZOOM, ZOOM)
            matrix = cv2.getRotationMatrix2D(middle, turn, zoom)
            matrix[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * size
            edge = cv2.BORDER_REFLECT
            frames.append(
                cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=edge)
            )
            landmarks.append(apply(matrix, before))
            real.append(move_window(_real(clip, i), matrix, size))
            if clip.mesh is not None:
                flat, depth = clip.mesh[i, :, :2], clip.mesh[i, :, 2:]
                meshes.append(np.concatenate([apply(matrix, flat), zoom * depth], axis=1))
    return _copies(f"{clip.name}, moved", clip, frames, landmarks, meshes, real)


def _copies(
    name: str,
    clip: FaceClip,
    frames: list[np.ndarray],
    landmarks: list[np.ndarray],
    meshes: list[np.ndarray],
    real: list[np.ndarray],
) -> FaceClip:
    """A clip of copies: as many of each frame of ``clip``, in its frames' order."""
    count = len(frames)
    return FaceClip(
        name=name,
        frames=np.stack(frames),
        landmarks=np.stack(landmarks).astype(np.float32),
        times=np.arange(count, dtype=np.float64),
        crops=np.repeat(clip.crops, count // len(clip), axis=0),
        spec=clip.spec,
        mesh=np.stack(meshes).astype(np.float32) if meshes else None,
        real=np.stack(real).astype(np.float32),
    )


def _real(clip: FaceClip, number: int) -> np.ndarray:
    """The part of a frame that is real, (4,); all of it if that is not known."""
    size = clip.spec.size
    return np.array([0, 0, size, size], np.float32) if clip.real is None else clip.real[number]


def random_expression(rng: np.random.Generator, steps: Mapping[str, np.ndarray]) -> np.ndarray:
    """A random mixture of expressions: how far each landmark goes, (68, 2), pixels.

    Each expression takes part to a random degree, half of them not at all. The mouth, of which one
    photo tells least, mostly opens.

    Args:
        steps: name of an expression to how far each landmark goes in it, (68, 2).
    """
    drawn = rng.uniform(0, 1, len(steps)) * (rng.random(len(steps)) < 0.5)
    shares = dict(zip(steps, drawn, strict=True))
    shares["mouth open"] = rng.uniform() * (rng.random() < 0.7)
    shares["mouth half open"] = 0.0  # is the same motion
    shares["smile"] *= rng.choice([-1, 1])  # or lips drawn in
    shares["turned left"] *= _TURNED * (shares["turned right"] == 0)
    shares["turned right"] *= _TURNED
    return sum((share * steps[name] for name, share in shares.items()), np.zeros((POINTS, 2)))


def warp_face(frame: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """A picture uint8 (H, H, 3) whose face has its landmarks ``before`` (68, 2) moved to ``after``.

    A thin-plate spline over the landmarks and points on the picture's edge, which stay.
    """
    side = len(frame)
    field = _displacements(after, before, side)
    axis = np.linspace(0, side - 1, _GRID)
    grid = np.stack(np.meshgrid(axis, axis), -1)
    coarse = field(grid.reshape(-1, 2)).reshape(_GRID, _GRID, 2).astype(np.float32)
    # Grid points are at the pixels' centers, the first and last on the picture's edge.
    rows, columns = np.mgrid[:side, :side].astype(np.float32) * ((_GRID - 1) / (side - 1))
    offset = cv2.remap(coarse, columns, rows, cv2.INTER_LINEAR)
    x, y = np.arange(side, dtype=np.float32)[None, :], np.arange(side, dtype=np.float32)[:, None]
    across, down = offset[..., 0] + x, offset[..., 1] + y
    warped = cv2.remap(frame, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    opened, opens = mouth_opening(np.stack([before, after]))
    if opened > _SHUT or opens <= opened:
        return warped
    return _darken_mouth(warped, frame, before, after)


def warp_mesh(mesh: np.ndarray, before: np.ndarray, after: np.ndarray, side: int) -> np.ndarray:
    """The mesh (478, 3) of a picture of that side after :func:`warp_face`; its depth stays."""
    flat = mesh[:, :2].astype(np.float64)
    moved = flat + _displacements(before, after, side)(flat)
    return np.concatenate([moved, mesh[:, 2:]], axis=1)


def warp_window(real: np.ndarray, before: np.ndarray, after: np.ndarray, side: int) -> np.ndarray:
    """The real part (4,) of a picture of that side after :func:`warp_face`, or less of it."""
    if (real == (0, 0, side, side)).all():  # the picture's edges stay where they are
        return real
    sides = _sides(real)
    moved = sides + _displacements(before, after, side)(sides.reshape(-1, 2)).reshape(sides.shape)
    return _rectangle_within(moved, side)


def move_window(real: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """The real part (4,) of a picture of that side after an affine map (2, 3), or less of it."""
    return _rectangle_within(apply(matrix, _sides(real)), side)


def _sides(window: np.ndarray) -> np.ndarray:
    """Points along a rectangle's left, top, right and bottom, (4, n, 2), as pixel centres."""
    left, top, right, bottom = np.asarray(window, np.float64) - 0.5
    across, down = np.linspace(left, right, _FIXED), np.linspace(top, bottom, _FIXED)
    lines = ((left, down), (across, top), (right, down), (across, bottom))
    return np.array([np.stack(np.broadcast_arrays(x, y), axis=-1) for x, y in lines])


def _rectangle_within(sides: np.ndarray, side: int) -> np.ndarray:
    """The upright rectangle (4,) inside of four moved sides (4, n, 2) and of the picture."""
    left, top = sides[0, :, 0].max(), sides[1, :, 1].max()
    right, bottom = sides[2, :, 0].min(), sides[3, :, 1].min()
    inside = np.clip(np.array([left, top, right, bottom]) + 0.5, 0, side)
    return np.maximum(inside, [0, 0, *inside[:2]]).astype(np.float32)


def _displacements(places: np.ndarray, to: np.ndarray, side: int) -> RBFInterpolator:
    """How far points of a picture go whose landmarks (68, 2) go from places to others.

    A thin-plate spline over the landmarks and points on the picture's edge, which stay.
    """
    ends = np.linspace(0, side - 1, _FIXED)
    edge = np.array([(x, y) for x in ends for y in ends if {x, y} & {ends[0], ends[-1]}])
    fixed = np.concatenate([places, edge])
    steps = np.concatenate([to, edge]) - fixed
    return RBFInterpolator(fixed, steps, kernel="thin_plate_spline", smoothing=1.0)


def _darken_mouth(
    warped: np.ndarray, frame: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """Something dark between the lips, because the photo shows nothing of the mouth's inside."""
    inside = np.zeros(warped.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(after[INNER_LIP] * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    lips = np.zeros(warped.shape[:2], np.uint8)
    cv2.fillPoly(lips, [np.rint(before[OUTER_LIP]).astype(np.int32)], 255)
    shown = frame[lips > 0]
    if not len(shown):
        return warped
    dark = np.percentile(shown, 5, axis=0) * 0.6
    left, right = INNER_LIP[0], INNER_LIP[4]
    width = float(np.linalg.norm(after[right] - after[left]))
    soft = cv2.GaussianBlur(inside, (0, 0), max(0.5, 0.03 * width))[..., None] / 255.0
    return (warped + soft * (dark - warped)).round().astype(np.uint8)
