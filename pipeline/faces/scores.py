"""Scores of a face track: pure functions on crops, landmarks and embeddings.

Their names are the columns of :data:`fsh.schemas.tables.columns.CLIPS`. Nothing is rejected here:
scores are stored for every track, and the filters of the data set compare them with thresholds
later.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from fsh.pipeline.faces.pose import head_poses
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import mouth_opening
from fsh.schemas.faces.mesh import eye_openings, gaze

#: Sharpness falls with this power of the crop's size (by 3.7 and 2.8 per doubling, measured).
SHARPNESS_FALL = 1.7
#: Eyes that are open less far (:func:`~fsh.schemas.faces.mesh.eye_openings`) are shut.
EYES_SHUT = 0.12


def luma(frame: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) RGB to uint8 (H, W), Rec. 601."""
    return cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)


def face_mask(points: np.ndarray, size: int) -> np.ndarray:
    """bool (size, size): inside the convex hull of finite (68, 2) landmarks; brows to chin."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return mask.astype(bool)


def sharpness(gray: np.ndarray, mask: np.ndarray) -> float:
    """Variance of the 3×3 Laplacian of the face's luma (0 to 255), at the crop's resolution.

    It depends on that resolution: the median over talking-head clips is about 130 at 256 px, 480
    at 128 px and 1350 at 64 px. The filter corrects for that with :data:`SHARPNESS_FALL`.
    """
    return _face_statistic(cv2.Laplacian(gray, cv2.CV_32F), mask, np.var)


def brightness(gray: np.ndarray, mask: np.ndarray) -> float:
    """Mean luma of the face, 0 to 1."""
    return _face_statistic(gray, mask, np.mean) / 255


def contrast(gray: np.ndarray, mask: np.ndarray) -> float:
    """Standard deviation of the face's luma, 0 to 1 (at most 0.5)."""
    return _face_statistic(gray, mask, np.std) / 255


def _face_statistic(
    values: np.ndarray, mask: np.ndarray, statistic: Callable[[np.ndarray], np.floating]
) -> float:
    """A statistic of the values under the mask, NaN if the mask is empty."""
    inside = values[mask]
    return float(statistic(inside.astype(np.float64))) if inside.size else float("nan")


def frame_difference(grays: np.ndarray) -> float:
    """Mean absolute luma difference of consecutive frames, 0 to 1; NaN for fewer than two.

    Args:
        grays: uint8 (N, H, W).
    """
    if len(grays) < 2:
        return float("nan")
    steps = [cv2.absdiff(a, b).mean(dtype=np.float64) for a, b in pairwise(grays)]
    return float(np.mean(steps)) / 255


def identity_consistency(embeddings: np.ndarray) -> float:
    """Smallest cosine similarity between any two embeddings (N, 128); NaN for fewer than two."""
    if len(embeddings) < 2:
        return float("nan")
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return float((unit @ unit.T).min())


def score_track(
    frames: np.ndarray, faces: FaceLandmarks, embeddings: np.ndarray | None = None
) -> dict[str, float]:
    """Every score of a track, under the names of the CLIPS columns.

    Args:
        frames: uint8 (N, S, S, 3) RGB crops of one window.
        faces: the N faces in crop pixels; frames without one count only for the frame difference.
        embeddings: float32 (M, 128) of some of the frames, or None.

    Returns:
        sharpness, brightness, contrast, yaw, pitch, roll: medians over the frames. pose_range:
        degrees between the 5th and 95th percentile of yaw. mouth_motion: standard deviation of
        the mouth's opening. frame_difference, identity_consistency. With meshes also
        mouth_opening, eye_opening, gaze_x, gaze_y: medians, and eyes_shut: share of the frames.
        NaN where there are too few frames.
    """
    size = frames.shape[1]
    grays = np.stack([luma(frame) for frame in frames])
    known = np.flatnonzero(faces.found)
    there = faces[known]
    rows = []
    for i, points in zip(known, there.points, strict=True):
        mask = face_mask(points, size)
        rows.append([measure(grays[i], mask) for measure in (sharpness, brightness, contrast)])
    quality = np.array(rows, np.float64).reshape(-1, 3)
    poses = head_poses(there.points, size, there.mesh)
    names = ("sharpness", "brightness", "contrast", "yaw", "pitch", "roll")
    columns = (*quality.T, *poses.T)
    scores = {name: _median(column) for name, column in zip(names, columns, strict=True)}
    yaw = poses[np.isfinite(poses[:, 0]), 0]
    low, high = np.percentile(yaw, [5, 95]) if yaw.size else (np.nan, np.nan)
    opening = mouth_opening(there.points)
    return (
        scores
        | _mesh_scores(there)
        | {
            "pose_range": float(high - low),
            "mouth_motion": float(opening.std()) if opening.size > 1 else float("nan"),
            "frame_difference": frame_difference(grays),
            "identity_consistency": identity_consistency(embeddings)
            if embeddings is not None
            else float("nan"),
        }
    )


def _mesh_scores(faces: FaceLandmarks) -> dict[str, float]:
    """What only meshes tell of N faces; nothing without them."""
    if faces.mesh is None:
        return {}
    opening, looks = eye_openings(faces.mesh).mean(axis=1), gaze(faces.mesh)
    return {
        "mouth_opening": _median(mouth_opening(faces.points)),
        "eye_opening": _median(opening),
        "eyes_shut": float((opening < EYES_SHUT).mean()) if opening.size else float("nan"),
        "gaze_x": _median(looks[:, 0]),
        "gaze_y": _median(looks[:, 1]),
    }


def _median(values: np.ndarray) -> float:
    """Median of the finite values, NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")
