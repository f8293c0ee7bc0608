"""Every face in one photo, cropped and landmarked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.faces.crop import (
    CropWindow,
    box_to_crop,
    crop_image,
    crop_window,
    real_window,
)
from fsh.pipeline.faces.detection import CnnDetector, Face, FaceDetector
from fsh.pipeline.faces.embedding import embed_face
from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box
from fsh.pipeline.faces.several_looks import look_several_times
from fsh.pipeline.faces.tracking import overlaps
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec

#: Longer sides, in pixels, of the copies of a photo that are searched.
_SEARCHED_SIDES = (480, 1000, 2000)


@dataclass(frozen=True)
class FaceCandidate:
    """A face in a photo, ready to be a frame; whether it is the person's is not decided yet.

    Attributes:
        face: as detected, pixels of the photo.
        window: the crop window in the photo.
        frame: uint8 (S, S, 3) RGB crop.
        real: float32 (4,), the part of the crop that shows the photo: left, top, right, bottom
            edges in crop pixels.
        points: float32 (68, 2) landmarks found on the crop, crop pixels.
        embedding: float32 (128,), or None if it was not asked for.
        tracked: whether it was tracked through a video, so that no other face is in question.
        mesh: float32 (478, 3), crop pixels; None if the landmark backend gives none.
        large: uint8 (L, L, 3) RGB, the same crop with more pixels; None if it was not asked for.
    """

    face: Face
    window: CropWindow
    frame: np.ndarray
    real: np.ndarray
    points: np.ndarray
    embedding: np.ndarray | None
    tracked: bool = False
    mesh: np.ndarray | None = None
    large: np.ndarray | None = None


def find_faces(image: np.ndarray, detector: FaceDetector, fallback: CnnDetector) -> list[Face]:
    """Every face in a photo, with growing effort until there is one; best score first.

    Args:
        image: uint8 (H, W, 3) RGB of any size.
        fallback: used only if the first detector finds nothing.

    Returns:
        Boxes in pixels of the image; of overlapping ones the best. Faces of a low score are left
        out where there is one of a high score.
    """
    longest = max(image.shape[:2])
    # Large faces show in a small copy, small ones in a large one; enlarging adds no detail.
    sides = [side for side in _SEARCHED_SIDES if side <= max(2 * longest, _SEARCHED_SIDES[0])]
    found = [face for side in sides for face in detector.detect_scaled(image, side)]
    if not found:  # faces that fill the frame, and drawn or turned ones
        margin = longest // 3
        padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        shift = np.float32(margin)
        found = (
            detector.detect_scaled(padded, 640)
            or fallback.detect_scaled(padded, 640)
            or detector.detect_scaled(padded, 640, threshold=-0.4)[:1]
        )
        found = [Face(face.box - shift, face.score) for face in found]
    kept: list[Face] = []
    for face in sorted(found, key=lambda face: -face.score):
        doubtful = bool(kept) and face.score < min(0.3, kept[0].score / 3)
        if not doubtful and all(
            overlaps(face.box[None], other.box[None])[0, 0] < 0.3 for other in kept
        ):
            kept.append(face)
    return kept


def crop_faces(
    image: np.ndarray,
    faces: Sequence[Face],
    spec: FaceSpec,
    backend: LandmarkBackend,
    *,
    embed: bool,
    large: int | None = None,
) -> list[FaceCandidate]:
    """The faces of a photo, cropped as the spec says; those without landmarks are left out.

    Args:
        image: uint8 (H, W, 3) RGB.
        embed: whether to compute identity embeddings (0.2 s a face).
        large: side of the larger crops; None: none are wanted.
    """
    candidates = []
    for face in faces:
        in_photo = backend.landmarks(image[None], face.box[None]).points[0]
        if not np.isfinite(in_photo).all():
            continue
        window = crop_window(face_box(in_photo), spec)
        frame = crop_image(image, window, spec.size)
        # Landmarked again on the crop, because videos are landmarked there.
        box = box_to_crop(face.box, window, spec.size)
        on_crop = backend.landmarks(frame[None], box[None])
        if on_crop.mesh is not None and on_crop.found[0]:
            again = look_several_times(backend, frame[None], on_crop.points)
            on_crop = again if again.found[0] else on_crop
        if on_crop.found[0]:
            embedding = embed_face(image, in_photo) if embed else None
            mesh = None if on_crop.mesh is None else on_crop.mesh[0]
            points = on_crop.points[0]
            real = real_window(window, (image.shape[1], image.shape[0]), spec.size)
            more = None if large is None else crop_image(image, window, large)
            candidates.append(
                FaceCandidate(face, window, frame, real, points, embedding, mesh=mesh, large=more)
            )
    return candidates


def locate_face(
    path: Path,
    image: np.ndarray,
    spec: FaceSpec,
    backend: LandmarkBackend,
    number: int | None = None,
) -> tuple[CropWindow, np.ndarray]:
    """The crop window of one of a picture's faces, and its landmarks (68, 2) in crop pixels.

    Args:
        path: the picture's file, for the message.
        number: which face, from the left, from 0; None: the largest.

    Raises:
        FshError: if there is no face, or none of that number.
    """
    found = find_faces(image, FaceDetector(), CnnDetector())
    faces = crop_faces(image, found, spec, backend, embed=False)
    if not faces:
        raise FshError("no face found", where=path, remedy="give a picture that shows a face")
    if number is None:
        wanted = max(faces, key=lambda candidate: candidate.face.side)
    elif number < len(faces):
        wanted = sorted(faces, key=lambda candidate: float(candidate.face.box[0]))[number]
    else:
        raise FshError(
            f"no face number {number}: it has {len(faces)}",
            where=path,
            remedy="they are counted from the left, from 0",
        )
    return wanted.window, wanted.points
