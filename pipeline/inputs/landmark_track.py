"""Stored tracks of landmarks, so that no picture of a driver needs to be kept.

``.npy`` is an array (F, 68, 2), iBUG order, x to the right and y down in any unit, NaN where there
is no face, at a constant rate that the file does not know. ``.npz`` has ``landmarks`` in crop
pixels, ``times`` (F,) in seconds, so a variable rate is kept, ``spec``, the JSON of the
:class:`~fsh.schemas.faces.spec.FaceSpec` they were found with, and ``mesh`` (F, 478, 3) in crop
pixels, if the backend gave one. Neither holds anything pickled.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsh.pipeline.faces.crop import crop_window, to_crop
from fsh.pipeline.faces.landmarks import face_box
from fsh.schemas.errors import FshError
from fsh.schemas.faces.landmarks import POINTS, found
from fsh.schemas.faces.mesh import MESH_POINTS
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.temporary import replacing

TRACK_SUFFIXES = frozenset([".npy", ".npz"])
_REMEDY = "make one with `fsh animate … --save-landmarks track.npz`"
#: A track without units is scaled to this extent first, because crop windows are whole pixels.
_EXTENT = 1024.0


@dataclass(frozen=True)
class LandmarkTrack:
    """What a track holds.

    Attributes:
        times: float64 (F,), seconds.
        landmarks: float32 (F, 68, 2), crop pixels; NaN in frames without a face.
        mesh: float32 (F, 478, 3), the same; None if it has none.
    """

    times: np.ndarray
    landmarks: np.ndarray
    mesh: np.ndarray | None = None


def save_track(
    path: Path,
    landmarks: np.ndarray,
    times: np.ndarray,
    spec: FaceSpec,
    mesh: np.ndarray | None = None,
) -> None:
    """Write a track; a ``.npy`` file holds neither its times nor its mesh.

    Args:
        landmarks: (F, 68, 2) crop pixels of ``spec``.
        times: (F,) seconds.
        mesh: (F, 478, 3) crop pixels, or None.

    Raises:
        FshError: if the name ends in neither ``.npy`` nor ``.npz``.
    """
    require_track_name(path)
    with replacing(path) as temporary, temporary.open("wb") as file:
        if path.suffix.lower() == ".npy":
            np.save(file, np.asarray(landmarks, np.float32))
        else:
            parts = {
                "landmarks": np.asarray(landmarks, np.float32),
                "times": np.asarray(times, np.float64),
                "spec": np.array(json.dumps(spec.to_json(), sort_keys=True)),
            }
            if mesh is not None:
                parts["mesh"] = np.asarray(mesh, np.float32)
            np.savez(file, **parts)  # type: ignore[arg-type]


def require_track_name(path: Path) -> None:
    """Check that a track can be written under this name; raises FshError."""
    if path.suffix.lower() not in TRACK_SUFFIXES:
        raise FshError("a track's name ends in .npz or .npy", where=path)


def read_track(path: Path, spec: FaceSpec, fps: float) -> LandmarkTrack:
    """Read a track.

    A track without units (``.npy``) is scaled and moved so that its median face is framed as
    ``spec`` frames faces.

    Args:
        fps: frames per second of a track without times.

    Raises:
        FshError: if it is no track, or no frame of it has a face.
        SpecMismatch: if it was found with another specification.
    """
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            points, times, made_with, mesh = stored, None, "", None
        else:
            points, times = stored["landmarks"], stored["times"]
            made_with = str(stored["spec"])
            mesh = stored.get("mesh")
    except FileNotFoundError:
        raise FshError("no such file", where=path) from None
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise FshError(f"not a track of landmarks ({error})", where=path, remedy=_REMEDY) from error
    if points.ndim != 3 or points.shape[1:] != (POINTS, 2) or points.dtype.kind not in "fiu":
        what = f"holds {points.dtype} {points.shape}, expected numbers (frames, 68, 2)"
        raise FshError(what, where=path, remedy=_REMEDY)
    points = points.astype(np.float32)
    points[~found(points)] = np.nan
    if np.isnan(points).all():
        raise FshError("no frame of this track has landmarks", where=path, remedy=_REMEDY)
    if times is None:
        return LandmarkTrack(np.arange(len(points)) / fps, place_in_crop(points, spec))
    if times.shape != (len(points),) or not (np.diff(times) > 0).all():
        raise FshError("its times do not increase frame by frame", where=path, remedy=_REMEDY)
    found_by = FaceSpec.from_json(json.loads(made_with)).of_crops
    spec.of_crops.require(found_by, mine="the person", theirs=str(path))
    if mesh is not None:
        if mesh.shape != (len(points), MESH_POINTS, 3) or mesh.dtype.kind != "f":
            what = (
                f"its mesh is {mesh.dtype} {mesh.shape}, expected {(len(points), MESH_POINTS, 3)}"
            )
            raise FshError(what, where=path, remedy=_REMEDY)
        mesh = mesh.astype(np.float32)
        mesh[~found(points)] = np.nan
    return LandmarkTrack(times.astype(np.float64), points, mesh)


def place_in_crop(points: np.ndarray, spec: FaceSpec) -> np.ndarray:
    """Landmarks (F, 68, 2) in any unit as crop pixels, in a crop around their median face."""
    median = np.nanmedian(points, axis=0)
    extent = float(np.ptp(median, axis=0).max())
    if extent <= 0:
        return points
    large = points * (_EXTENT / extent)
    window = crop_window(face_box(np.nanmedian(large, axis=0)), spec)
    return to_crop(large, window, spec.size)
