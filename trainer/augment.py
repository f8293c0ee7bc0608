"""A photo, moved: what stands in for further photos where there are few."""

from __future__ import annotations

import cv2
import numpy as np

from fsh.schemas.clip import FaceClip

#: Largest turn (degrees), change of size (share) and shift (share of the side).
TURN, ZOOM, SHIFT = 10.0, 0.10, 0.06


def moved_copies(clip: FaceClip, copies: int, seed: int) -> FaceClip:
    """Each frame of a clip ``copies`` times: turned, scaled and shifted, landmarks and all.

    Pixels from outside repeat the edge, as they do in crops. The head's pose and expression stay
    what they are, so such copies tell whether a person is drawn right where the photo did not show
    them, but nothing about mimics.

    Returns:
        A clip of ``copies × len(clip)`` frames; the same seed gives the same copies.
    """
    rng = np.random.default_rng(seed)
    size = clip.spec.size
    middle = ((size - 1) / 2, (size - 1) / 2)
    frames, points = [], []
    for frame, landmarks in zip(clip.frames, clip.landmarks, strict=True):
        for _ in range(copies):
            turn, zoom = rng.uniform(-TURN, TURN), 1 + rng.uniform(-ZOOM, ZOOM)
            matrix = cv2.getRotationMatrix2D(middle, turn, zoom)
            matrix[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * size
            edge = cv2.BORDER_REPLICATE
            frames.append(
                cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=edge)
            )
            points.append(landmarks @ matrix[:, :2].T + matrix[:, 2])
    count = len(frames)
    return FaceClip(
        name=f"{clip.name}, moved",
        frames=np.stack(frames),
        landmarks=np.stack(points).astype(np.float32),
        times=np.arange(count, dtype=np.float64),
        crops=np.repeat(clip.crops, copies, axis=0),
        spec=clip.spec,
    )
