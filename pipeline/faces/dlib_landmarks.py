"""dlib's 68 landmarks: regression trees that come with pip and work offline."""

from __future__ import annotations

import dlib
import numpy as np

from fsh.pipeline.faces.landmarks import usable_boxes
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import POINTS
from fsh.schemas.recognizer import LANDMARK_MODEL, model_file


class DlibLandmarks:
    """A :class:`~fsh.pipeline.faces.landmarks.LandmarkBackend` of about 3 ms per face.

    The trees were trained on boxes of dlib's own detector.
    """

    name = "dlib"
    knows_absence = False

    def __init__(self) -> None:
        self._predictor = dlib.shape_predictor(str(model_file(LANDMARK_MODEL)))

    def landmarks(
        self, images: np.ndarray, boxes: np.ndarray, *, consecutive: bool = False
    ) -> FaceLandmarks:
        """See :class:`~fsh.pipeline.faces.landmarks.LandmarkBackend`; whole pixels."""
        points = np.full((len(images), POINTS, 2), np.nan, np.float32)
        for i in np.flatnonzero(usable_boxes(boxes)):
            left, top, right, bottom = (round(float(v)) for v in boxes[i])
            box = dlib.rectangle(left, top, right - 1, bottom - 1)
            shape = self._predictor(np.ascontiguousarray(images[i]), box)
            points[i] = [(p.x, p.y) for p in shape.parts()]
        return FaceLandmarks(points)
