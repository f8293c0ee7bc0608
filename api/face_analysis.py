"""Looking at drawn faces with the pipeline's detectors, for the trainer's evaluation."""

from __future__ import annotations

import cv2
import numpy as np

from fsh.pipeline.faces.arcface import ArcFace, arcface_file
from fsh.pipeline.faces.detection import embed, embed_all
from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box, load_backend
from fsh.pipeline.faces.scores import head_pose, mouth_opening
from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.recognizer import RECOGNIZER, model_file
from fsh.schemas.spec import FaceSpec
from fsh.trainer.evaluation.protocols import Look, Watcher
from fsh.trainer.person.person import Person
from fsh.trainer.person.step_choice import Judges

_DLIB_LANDMARKS = "shape_predictor_68_face_landmarks.dat"


class FaceWatcher(Watcher):
    """The data set's landmark backend, dlib's identity network, and ArcFace if it is there."""

    def __init__(self, spec: FaceSpec) -> None:
        self.spec = spec
        self.backend = load_backend(spec.backend)
        weights = file_sha256(model_file(RECOGNIZER))[:12]
        self.backbones = {"dlib": f"dlib ResNet 128-d, weights {weights}"}
        self.landmarks = f"{spec.backend} 68 points"
        if spec.backend == "dlib":
            self.landmarks += f", weights {file_sha256(model_file(_DLIB_LANDMARKS))[:12]}"
        self.missing: dict[str, str] = {}
        self.arcface: ArcFace | None = None
        try:
            path = arcface_file()
            self.arcface = ArcFace(path)
            self.backbones["arcface"] = f"ArcFace ({path.name}), weights {file_sha256(path)[:12]}"
        except FshError as error:
            self.missing["arcface"] = str(error)

    def look(self, pictures: np.ndarray, near: np.ndarray) -> Look:
        """Find the landmarks again, where the face should be, and identify it by them."""
        size = self.spec.size
        large = pictures
        if pictures.shape[1] != size:
            # Networks and trees see every system's pictures at the crop's own size.
            how = cv2.INTER_CUBIC if pictures.shape[1] < size else cv2.INTER_AREA
            large = np.stack([cv2.resize(p, (size, size), interpolation=how) for p in pictures])
        points = self.backend.landmarks(large, face_box(near))
        lost = ~np.isfinite(points).all(axis=(1, 2))
        points[lost] = near[lost]
        identities = {"dlib": embed_all(large, points)}
        if self.arcface is not None:
            found = [self.arcface.embed(p, x) for p, x in zip(large, points, strict=True)]
            identities["arcface"] = np.stack(found)
        return Look(
            points=points,
            identities=identities,
            pose=np.array([head_pose(x, size) for x in points]),
            expression=expression(points),
        )


def expression(points: np.ndarray) -> np.ndarray:
    """What a face does, apart from how it is held: shares of its own sizes.

    Args:
        points: (N, 68, 2).

    Returns:
        float64 (N, 6): opening of either eye over its width, opening of the mouth over its width,
        the mouth's width and either brow's height over the distance of the eyes.
    """
    x = np.asarray(points, np.float64)

    def gap(a: int, b: int) -> np.ndarray:
        return np.linalg.norm(x[:, a] - x[:, b], axis=1)

    def over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return part / np.maximum(whole, 1e-6)

    left, right = x[:, 36:42].mean(1), x[:, 42:48].mean(1)
    eyes = np.linalg.norm(left - right, axis=1)
    brows = [
        np.linalg.norm(x[:, a:b].mean(1) - eye, axis=1)
        for a, b, eye in ((17, 22, left), (22, 27, right))
    ]
    return np.stack(
        [
            over(gap(37, 41) + gap(38, 40), 2 * gap(36, 39)),
            over(gap(43, 47) + gap(44, 46), 2 * gap(42, 45)),
            mouth_opening(x),
            over(gap(48, 54), eyes),
            *(over(brow, eyes) for brow in brows),
        ],
        axis=1,
    )


def judges_of(backend: LandmarkBackend) -> Judges:
    """How personalisation recognises what it drew and finds its landmarks."""
    return Judges(
        find=lambda pictures, points: backend.landmarks(pictures, face_box(points)),
        recognise=embed_all,
    )


def identity_similarity(person: Person, photos: FaceClip) -> float | None:
    """Mean cosine similarity of dlib's face embeddings: photos against their own redrawing.

    The drawings have the photos' landmarks, so nothing needs to be found in them. dlib's
    embeddings of two people are already alike (about 0.8): the scale is not the paper's CSIM.
    """
    if photos.embedding is None:
        return None
    found = np.flatnonzero(photos.found)[:8]
    size = person.spec.size
    likeness = []
    for drawn, points in zip(
        person.draw(photos.landmarks[found]), photos.landmarks[found], strict=True
    ):
        large = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_CUBIC)
        mine = embed(large, points)
        norms = np.linalg.norm(mine) * np.linalg.norm(photos.embedding)
        likeness.append(float(mine @ photos.embedding / norms))
    return float(np.mean(likeness))
