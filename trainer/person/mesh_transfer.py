"""Driving one person's mesh with another's: how a head is held and what a face does travel.

As :mod:`fsh.trainer.person.motion_transfer` does with the 68 landmarks, in three dimensions: a head
that turns away turns the person's own shape. Pure numpy. Meshes are (N, 478, 3), pixels.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import RBFInterpolator

from fsh.schemas.landmarks import RIGID, apply, similarity
from fsh.schemas.mesh import MESH_POINTS, Placement, landmarks_of_mesh, place_mesh
from fsh.trainer.person.motion_transfer import reference_frame, smooth_landmarks


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

        ``(s_i / s_0) s_p R_i R₀ᵀ R_p (N + c · (L_i − L_0)) + t_p + (s_p / s_0) (t_i − t_0)``

    where 0 is the driver's reference frame and c the two faces' proportions (width, height, and
    width again for the depth). So turns, sizes and places change as much as the driver's do, from
    where the photos show them, and what the face does is added to the person's shape: in the
    reference frame the person is as in the photos, of which nothing has to be made up.

    Args:
        driver: (N, 478, 3), without gaps (:func:`~fsh.trainer.person.motion_transfer.fill_gaps`).
        times: (N,) seconds.
        person: (T, 478, 3), the photos' meshes, in the pixels wanted.
        smooth: take out the landmark detector's jitter first.
        reference: the driver's reference frame; None finds the one most like the person.

    Returns:
        float32 (N, 478, 3).
    """
    driver = np.asarray(driver, np.float64)
    if not len(driver):
        return np.empty((0, MESH_POINTS, 3), np.float32)
    if smooth:
        driver = smooth_landmarks(driver, times)
    transfer = MeshTransfer(person)
    if reference is None:
        reference = reference_frame(landmarks_of_mesh(driver), transfer.shape)
    transfer.start_at(driver[reference])
    return np.array([transfer.moved(mesh) for mesh in driver], np.float32)


class MeshTransfer:
    """:func:`transfer_mesh` face by face, from a reference face that is given.

    Args:
        person: (T, 478, 3), the photos' meshes, in the pixels wanted.

    Attributes:
        shape: float64 (68, 2), the person's landmarks as the photos show them on average.
    """

    def __init__(self, person: np.ndarray) -> None:
        self._neutral, self._own = neutral_mesh(person)
        self.shape = landmarks_of_mesh(self._own.to_picture(self._neutral))

    def start_at(self, reference: np.ndarray) -> None:
        """From now on motion counts from this face of the driver's, (478, 3)."""
        self._start = place_mesh(reference)
        self._start_face = self._start.to_head(np.asarray(reference, np.float64))
        extent = np.maximum(np.ptp(self._start_face, axis=0), 1e-6)
        width, height, _ = np.ptp(self._neutral, axis=0) / extent
        self._proportions = (width, height, width)

    def moved(self, mesh: np.ndarray) -> np.ndarray:
        """The person's mesh, float64 (478, 3), for one face of the driver's, (478, 3)."""
        place, start, own = place_mesh(mesh), self._start, self._own
        face = self._neutral + (place.to_head(mesh) - self._start_face) * self._proportions
        grown = own.scale / start.scale
        shift = own.shift + grown * (place.shift - start.shift)
        turned = place.rotation @ start.rotation.T @ own.rotation
        return Placement(grown * place.scale, turned, shift).to_picture(face)


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
