"""Driving one person's mesh with another's: how a head is held and what a face does travel.

As :mod:`fsh.trainer.person.motion_transfer` does with the 68 landmarks, in three dimensions: a head
that turns away turns the person's own shape. Pure numpy. Meshes are (N, 478, 3), pixels.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import RBFInterpolator

from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import RIGID, apply, similarity
from fsh.schemas.faces.mesh import (
    LOWER_LIDS,
    LOWER_LIP,
    MESH_POINTS,
    UPPER_LIDS,
    UPPER_LIP,
    Placement,
    landmarks_of_mesh,
    place_mesh,
)
from fsh.schemas.faces.spec import FaceSpec
from fsh.trainer.person.motion_transfer import reference_frame, smooth_landmarks

#: The rims that open and shut: mouth and eyes.
_RIMS = ((UPPER_LIP, LOWER_LIP), *zip(UPPER_LIDS, LOWER_LIDS, strict=True))
#: An eye that is open by less than the smaller share of how it is at rest is shut; from the larger
#: one on it is left as it is. Landmark networks see a gap between lids that touch.
_SHUT, _OPEN = 0.15, 0.45
#: Least opening of an eye at rest, height over width; less is an eye that the photos show shut.
_EYE = 0.05
#: How much of the way to the other an upper lid goes.
_UPPER_LID = 0.8
#: How much a difference of each counts where faces are compared.
_RIMS_COUNT = (1.0, 2.0, 2.0)
#: Frames averaged to a driver's face at rest: one alone would add its tremble to all others.
_AT_REST = 5
#: The smoothing's beta. Meshes tremble a third as much as dlib's landmarks, and at those' beta a
#: mouth that talks fast loses a sixth of its opening.
_BETA = 40.0


def neutral_mesh(meshes: np.ndarray) -> tuple[np.ndarray, Placement]:
    """A person's shape in the head's own coordinates, (478, 3), and its mean placement in T photos.

    Args:
        meshes: (T, 478, 3), finite.
    """
    meshes = np.asarray(meshes, np.float64)
    places = [place_mesh(mesh) for mesh in meshes]
    local = [place.to_head(mesh) for place, mesh in zip(places, meshes, strict=True)]
    left, _, right = np.linalg.svd(np.mean([place.rotation for place in places], axis=0))
    mean = Placement(
        float(np.mean([place.scale for place in places])),
        left @ right,
        np.mean([place.shift for place in places], axis=0),
    )
    return np.mean(local, axis=0), mean


def transfer_mesh(
    driver: np.ndarray,
    times: np.ndarray,
    person: np.ndarray,
    *,
    smooth: bool = True,
    reference: int | None = None,
) -> np.ndarray:
    """The person's mesh, held as the driver's head is and doing what the driver's face does.

    With the placement (scale s, rotation R, shift t) of the driver's mesh D in frame i, the face in
    the head's own coordinates is ``L_i = Rᵢᵀ (D_i − t_i) / s_i``. The person, of neutral shape N at
    scale s_p, held by R_p at t_p in the photos, becomes

        ``(s_i / s_0) s_p R_i R₀ᵀ R_p (N + c · (L_i − L)) + t_p + (s_p / s_0) (t_i − t_0)``

    where 0 is the driver's reference frame, L its face at rest (:func:`face_at_rest`) and c the two
    faces' proportions (width, height, and width again for the depth). So turns, sizes and places
    change as much as the driver's do, from where the photos show them, and what the face does is
    added to the person's shape: held and looking as in the photos, nothing has to be made up. Lips
    and lids meet, but do not pass each other, and eyes that are nearly shut shut.

    Args:
        driver: (N, 478, 3), without gaps (:func:`~fsh.trainer.person.motion_transfer.fill_gaps`).
        times: (N,) seconds.
        person: (T, 478, 3), the photos' meshes, in the pixels wanted.
        smooth: take out the landmark detector's jitter first.
        reference: the driver's reference frame, its face at rest as well; None finds the frame
            most like the person, and the face.

    Returns:
        float32 (N, 478, 3).
    """
    driver = np.asarray(driver, np.float64)
    if not len(driver):
        return np.empty((0, MESH_POINTS, 3), np.float32)
    if smooth:
        driver = smooth_landmarks(driver, times, beta=_BETA)
    transfer, rest = MeshTransfer(person), None
    if reference is None:
        reference = reference_frame(landmarks_of_mesh(driver), transfer.shape)
        faces = np.stack([place_mesh(mesh).to_head(mesh) for mesh in driver])
        rest = face_at_rest(faces, transfer.neutral)
    transfer.start_at(driver[reference], rest)
    return np.array([transfer.moved(mesh) for mesh in driver], np.float32)


class MeshTransfer:
    """:func:`transfer_mesh` face by face, from a reference face that is given.

    Args:
        person: (T, 478, 3), the photos' meshes, in the pixels wanted.

    Attributes:
        shape: float64 (68, 2), the person's landmarks as the photos show them on average.
        neutral: float64 (478, 3), the person's face in the head's own coordinates.
    """

    def __init__(self, person: np.ndarray) -> None:
        self.neutral, self._own = neutral_mesh(person)
        self.shape = landmarks_of_mesh(self._own.to_picture(self.neutral))

    def start_at(self, reference: np.ndarray, rest: np.ndarray | None = None) -> None:
        """From now on motion counts from this face of the driver's, (478, 3).

        Args:
            rest: (478, 3), in the head's own coordinates, what expressions count from; None: from
                that face as well.
        """
        self._start = place_mesh(reference)
        own = self._start.to_head(np.asarray(reference, np.float64))
        self._rest = own if rest is None else rest
        extent = np.maximum(np.ptp(self._rest, axis=0), 1e-6)
        width, height, _ = np.ptp(self.neutral, axis=0) / extent
        self._proportions = (width, height, width)

    def moved(self, mesh: np.ndarray) -> np.ndarray:
        """The person's mesh, float64 (478, 3), for one face of the driver's, (478, 3)."""
        place, start, own = place_mesh(mesh), self._start, self._own
        face = self.neutral + (place.to_head(mesh) - self._rest) * self._proportions
        grown = own.scale / start.scale
        shift = own.shift + grown * (place.shift - start.shift)
        turned = place.rotation @ start.rotation.T @ own.rotation
        closed = _closed(_shut(face, self.neutral)[None], self.neutral)[0]
        return Placement(grown * place.scale, turned, shift).to_picture(closed)


def face_at_rest(faces: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The driver's face that does what the person's does in the photos, (478, 3).

    The mean of the few faces whose mouths and lids are as far open. A whole frame most like the
    person may be in the middle of a blink or a word, and all others would be off by that.

    Args:
        faces: (N, 478, 3), in the head's own coordinates. shape: (478, 3), the person's as well.
    """
    off = [np.abs(openness(face) - openness(shape)) @ _RIMS_COUNT for face in faces]
    return faces[np.argsort(off, kind="stable")[:_AT_REST]].mean(0)


def openness(face: np.ndarray) -> np.ndarray:
    """(3,): how far mouth and eyes are open, their mean height over their width."""
    found = []
    for upper, lower in _RIMS:
        height = (face[list(lower), 1] - face[list(upper), 1])[1:-1].mean()
        width = np.linalg.norm(face[upper[0]] - face[upper[-1]])
        found.append(height / max(float(width), 1e-6))
    return np.array(found)


def _shut(face: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """A face (478, 3) whose eyes are shut where they are nearly so; ``shape`` is the person's."""
    rest, now = openness(shape)[1:], openness(face)[1:]
    for rims, opened, usual in zip(_RIMS[1:], now, rest, strict=True):
        if usual < _EYE:
            continue
        share = np.clip((opened / usual - _SHUT) / (_OPEN - _SHUT), 0, 1)
        upper, lower = (list(rim[1:-1]) for rim in rims)
        step = (1 - share) * np.maximum(face[lower] - face[upper], 0)[:, 1]
        face[upper, 1] += _UPPER_LID * step
        face[lower, 1] -= (1 - _UPPER_LID) * step
    return face


def _closed(faces: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Faces (N, 478, 3) whose lips and lids meet midway where they passed each other.

    Args:
        shape: (478, 3), the person's; where they pass each other in it, so far they may.
    """
    for upper, lower in (([*one], [*other]) for one, other in _RIMS):
        least = np.minimum(shape[lower, 1] - shape[upper, 1], 0)
        passed = np.maximum(least - (faces[:, lower, 1] - faces[:, upper, 1]), 0) / 2
        passed[:, [0, -1]] = 0  # corners are on both rims
        faces[:, upper, 1] -= passed
        faces[:, lower, 1] += passed
    return faces


def meshes_of_landmarks(landmarks: np.ndarray, meshes: np.ndarray) -> np.ndarray:
    """Meshes with given landmarks, where only these are known: a known mesh that follows them.

    The mesh whose landmarks are most like them is laid onto them by a similarity and bent by the
    thin-plate spline that takes its landmarks there; its depth keeps its scale.

    Args:
        landmarks: (N, 68, 2), pixels. meshes: (T, 478, 3), the person's, in the same pixels.

    Returns:
        float32 (N, 478, 3).
    """
    meshes = np.asarray(meshes, np.float64)
    known = landmarks_of_mesh(meshes)
    made = np.empty((len(landmarks), MESH_POINTS, 3), np.float32)
    for row, points in enumerate(np.asarray(landmarks, np.float64)):
        lays = [similarity(one, points) for one in known]
        laid = [apply(lay, one) for lay, one in zip(lays, known, strict=True)]
        best = int(np.argmin([np.abs(one - points).mean() for one in laid]))
        scale = np.sqrt(abs(np.linalg.det(lays[best][:, :2])))
        flat = apply(lays[best], meshes[best, :, :2])
        bend = RBFInterpolator(laid[best], points - laid[best], kernel="thin_plate_spline")
        made[row] = np.column_stack([flat + bend(flat), scale * meshes[best, :, 2]])
    return made


def with_irises(faces: FaceLandmarks, spec: FaceSpec, meshes: np.ndarray | None) -> FaceLandmarks:
    """Faces with meshes, if a spec has irises drawn: where only landmarks are known, those of the
    person's meshes (T, 478, 3) that follow them (:func:`meshes_of_landmarks`)."""
    if not spec.gaze or faces.mesh is not None or meshes is None:
        return faces
    return FaceLandmarks(faces.points, meshes_of_landmarks(faces.points, meshes))


def follow_head(meshes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Each mesh (N, 478, 3) shifted, turned in the plane and scaled to where a target's face is.

    As :func:`~fsh.trainer.person.motion_transfer.follow_head_pose` does with landmarks.

    Args:
        target: (N, 68, 2) the target's landmarks.
    """
    own, moved = landmarks_of_mesh(meshes), np.array(meshes, np.float64)
    for mesh, points, place in zip(moved, own, target, strict=True):
        lay = similarity(points[RIGID], place[RIGID])
        mesh[:, :2] = apply(lay, mesh[:, :2])
        mesh[:, 2] *= np.sqrt(abs(np.linalg.det(lay[:, :2])))
    return moved.astype(np.float32)
