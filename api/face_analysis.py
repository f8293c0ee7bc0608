"""Analyzing drawn faces with the pipeline's detectors, for personalisation and evaluation."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import cv2
import numpy as np

from fsh.pipeline.faces.arcface import ArcFace, arcface_file
from fsh.pipeline.faces.backends import BACKENDS, load_backend
from fsh.pipeline.faces.embedding import embed_faces
from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box
from fsh.pipeline.faces.pose import head_poses
from fsh.pipeline.faces.several_looks import look_several_times
from fsh.schemas.errors import FshError
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import (
    LEFT_BROW,
    LEFT_EYE,
    LIDS,
    MOUTH_CORNERS,
    POINTS,
    RIGHT_BROW,
    RIGHT_EYE,
    mouth_opening,
)
from fsh.schemas.faces.mesh import MESH_POINTS
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import file_sha256
from fsh.schemas.recognizer import LANDMARK_MODEL, RECOGNIZER, model_file
from fsh.trainer.face_analyzer import FaceAnalysis, FaceAnalyzer

#: The backend that all contenders are measured with, where it can be loaded, if none is named.
MEASURING = "mediapipe"


class DetectorFaceAnalyzer(FaceAnalyzer):
    """The data set's landmark backend, dlib's identity network, and ArcFace if it is there.

    :meth:`analyze` measures with ``mediapipe``, which holds on turned heads, whatever the data
    set's backend is; with the data set's own where it cannot be loaded. What only :meth:`analyze`
    needs is loaded when it is first asked for.

    Args:
        spec: how the data set's faces were cropped and landmarked.
        backend: its landmark backend, if it is loaded already.
        measuring: the backend that all contenders are measured with.
    """

    def __init__(
        self,
        spec: FaceSpec,
        backend: LandmarkBackend | None = None,
        measuring: str = MEASURING,
    ) -> None:
        self.spec, self.measuring = spec, measuring
        self.backend = backend or load_backend(spec.backend)

    @cached_property
    def _arcface(self) -> ArcFace | FshError:
        """The network, or why it cannot be used."""
        try:
            return ArcFace(arcface_file())
        except FshError as error:
            return error

    @cached_property
    def backbones(self) -> dict[str, str]:
        weights = file_sha256(model_file(RECOGNIZER))[:12]
        backbones = {"dlib": f"dlib ResNet 128-d, weights {weights}"}
        if isinstance(self._arcface, ArcFace):
            path = arcface_file()
            backbones["arcface"] = f"ArcFace ({path.name}), weights {file_sha256(path)[:12]}"
        return backbones

    @cached_property
    def _measuring(self) -> LandmarkBackend:
        """What :meth:`analyze` finds landmarks with."""
        if self.spec.backend == self.measuring:
            return self.backend
        try:
            return load_backend(self.measuring)
        except FshError:
            return self.backend

    @cached_property
    def landmark_backend(self) -> str:
        name = self._measuring.name
        described = f"{name} {MESH_POINTS if name == MEASURING else POINTS} points"
        if name == "dlib":
            described += f", weights {file_sha256(model_file(LANDMARK_MODEL))[:12]}"
        elif name in BACKENDS and (weights := BACKENDS[name].weights) is not None:
            described += f", weights {weights.sha256[:12]}"
        return described

    @cached_property
    def missing(self) -> dict[str, str]:
        return {"arcface": str(self._arcface)} if isinstance(self._arcface, FshError) else {}

    def find_landmarks(self, pictures: np.ndarray, near: np.ndarray) -> np.ndarray:
        return self.backend.landmarks(pictures, face_box(near)).points

    def embed(self, pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        return embed_faces(pictures, landmarks)

    def analyze(self, pictures: np.ndarray, near: np.ndarray) -> FaceAnalysis:
        size = self.spec.size
        large = pictures
        if pictures.shape[1] != size:
            # Networks and trees see every system's pictures at the crop's own size.
            how = cv2.INTER_CUBIC if pictures.shape[1] < size else cv2.INTER_AREA
            large = np.stack([cv2.resize(p, (size, size), interpolation=how) for p in pictures])
        faces = look_several_times(self._measuring, large, near)
        places = np.where(faces.found[:, None, None], faces.points, near).astype(np.float32)
        identities = {"dlib": self.embed(large, places)}
        if isinstance(self._arcface, ArcFace):
            embeddings = [self._arcface.embed(p, x) for p, x in zip(large, places, strict=True)]
            identities["arcface"] = np.stack(embeddings)
        return FaceAnalysis(faces, identities, self.poses(faces), expression(faces.points))

    def look_again(self, clip: FaceClip) -> FaceClip:
        if self.spec.backend != self.measuring or clip.mesh is None or not len(clip):
            return clip
        faces = look_several_times(self._measuring, clip.frames, clip.landmarks)
        assert faces.mesh is not None
        seen = faces.found[:, None, None]
        points = np.where(seen, faces.points, clip.landmarks)
        return replace(clip, landmarks=points, mesh=np.where(seen, faces.mesh, clip.mesh))

    def poses(self, landmarks: FaceLandmarks) -> np.ndarray:
        return head_poses(landmarks.points, self.spec.size, landmarks.mesh)


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

    left, right = x[:, LEFT_EYE].mean(1), x[:, RIGHT_EYE].mean(1)
    eyes = np.linalg.norm(left - right, axis=1)
    brows = [
        np.linalg.norm(x[:, brow].mean(1) - eye, axis=1)
        for brow, eye in ((LEFT_BROW, left), (RIGHT_BROW, right))
    ]
    return np.stack(
        [
            *(
                over(gap(*LIDS[2 * i]) + gap(*LIDS[2 * i + 1]), 2 * gap(eye[0], eye[3]))
                for i, eye in enumerate((LEFT_EYE, RIGHT_EYE))
            ),
            mouth_opening(x),
            over(gap(*MOUTH_CORNERS), eyes),
            *(over(brow, eyes) for brow in brows),
        ],
        axis=1,
    )
