"""Which clips are kept: thresholds on stored scores, so that a changed mind decodes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fsh.pipeline.dataset.config import Filters
from fsh.pipeline.faces.crop import HEAD
from fsh.pipeline.faces.scores import SHARPNESS_FALL
from fsh.schemas.spec import FaceSpec


def reject(row: Mapping[str, Any], filters: Filters, spec: FaceSpec) -> str:
    """Why a clip is rejected; empty if it is kept.

    A reason that the analysis already gave stands. A score that could not be measured (null or
    NaN) rejects nothing.

    Args:
        row: a row of the clips table, with its scores.
        spec: how it was cropped.
    """
    if row["reason"]:
        return str(row["reason"])
    for reason, failed in verdicts(row, filters, spec):
        if failed:
            return reason
    return ""


def cut_off(row: Mapping[str, Any], spec: FaceSpec) -> float:
    """How far the head, from hair to chin, reaches out of the frame, in sides of its face box.

    Zero or less if it does not; NaN for a row without crop window.
    """
    if row.get("crop_side") is None:
        return float("nan")
    side, left, top = (float(row[f"crop_{name}"]) for name in ("side", "left", "top"))
    face = float(row["face_px"])
    # The head at rest, where the window has it.
    middle = np.array([left + side / 2, top + side / 2 + spec.shift * face])
    head = np.tile(middle, 2) + face * HEAD
    outside = [*-head[:2], *(head[2:] - (row["width"], row["height"]))]
    return float(max(outside) / face)


def verdicts(
    row: Mapping[str, Any], filters: Filters, spec: FaceSpec
) -> Iterator[tuple[str, bool]]:
    """Every filter's reason, in order, and whether it would reject the clip."""

    # NaN compares as False with everything, which is what is wanted here.
    def score(name: str) -> float:
        value = row.get(name)
        return float("nan") if value is None else float(value)

    frames, failed = score("frames"), score("frames_failed")
    yield "too_short", frames / score("fps") < filters.min_seconds
    yield "small_face", score("face_px") < filters.min_face
    yield "cut_off", cut_off(row, spec) > filters.max_cut_off
    yield "unsteady", score("detected") < filters.min_detected
    yield "no_landmarks", failed > filters.max_failed * (frames + failed)
    sharpness = score("sharpness") * (spec.size / 256) ** SHARPNESS_FALL
    yield "blurred", sharpness < filters.min_sharpness
    yield "dark", score("brightness") < filters.min_brightness
    yield "overexposed", score("brightness") > filters.max_brightness
    yield "flat", score("contrast") < filters.min_contrast
    yield "profile", abs(score("yaw")) > filters.max_yaw
    yield "still", score("frame_difference") < filters.min_frame_difference
    yield "not_talking", score("mouth_motion") < filters.min_mouth_motion
    yield "mixed", score("identity_consistency") < filters.min_identity_consistency
