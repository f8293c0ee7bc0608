"""What copying could reach: the bent photo, moved on by the true picture's own optical flow.

A system for ``few_shot.py --parts`` that is shown what it shall draw. Its numbers are no result but
a ceiling: of structural similarity for what is copied from one photo, and a floor of what the
landmark network says of two pictures of a face in the same place.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.trainer.evaluation.baselines import MeshBentPhoto
from fsh.trainer.evaluation.evaluated_system import Draw
from fsh.trainer.evaluation.subjects import Subject

#: Side of the grid to which the flow is averaged: as fine as a network of 64 pixels could say it.
_GRID = 64


class TrueMotion:
    """The photo bent by its mesh, then moved as it takes to look most like the true picture.

    Args:
        subjects: whose held-out frames are drawn.
    """

    name, fingerprint = "true motion", "1"

    def __init__(self, subjects: Sequence[Subject]) -> None:
        frames = [subject.load().held_out for subject in subjects]
        self.pictures = np.concatenate([clip.frames for clip in frames])
        self.points = np.concatenate([clip.landmarks for clip in frames])
        self.flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def fit(self, photos: FaceClip) -> Draw:
        bend = MeshBentPhoto().fit(photos)

        def draw(faces: FaceLandmarks) -> np.ndarray:
            drawn = []
            for picture, points in zip(bend(faces), faces.points, strict=True):
                # Landmarks are found anew, so they differ a little from the frame's stored ones.
                gaps = np.square(self.points - points).sum(axis=(1, 2))
                drawn.append(self._moved(picture, self.pictures[gaps.argmin()]))
            return np.stack(drawn)

        return draw

    def _moved(self, picture: np.ndarray, true: np.ndarray) -> np.ndarray:
        greys = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (true, picture)]
        flow = self.flow.calc(*greys, None)
        side = picture.shape[0]
        coarse = cv2.resize(flow, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
        x, y = np.moveaxis(cv2.resize(coarse, (side, side)), 2, 0)
        down, across = np.mgrid[:side, :side].astype(np.float32)
        return cv2.remap(
            picture, across + x, down + y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
