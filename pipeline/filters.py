"""Which clips are kept: thresholds on stored scores, so that a changed mind decodes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsh.pipeline.config import Filters

#: Room between the head and the window's edges, in sides of the face box, as the default crop
#: specification leaves it for a head at rest.
SLACK = {"left": 0.3, "top": 0.2, "right": 0.3, "bottom": 0.27}


def reject(row: Mapping[str, Any], filters: Filters) -> str:
    """Why a clip is rejected; empty if it is kept.

    A reason that the analysis already gave stands. A score that could not be measured (null or
    NaN) rejects nothing.

    Args:
        row: a row of the clips table, with its scores.
    """
    if row["reason"]:
        return str(row["reason"])
    for reason, failed in _verdicts(row, filters):
        if failed:
            return reason
    return ""


def cut_off(row: Mapping[str, Any]) -> float:
    """How far the head, from hair to chin, reaches out of the frame, in sides of its face box.

    NaN for a row without crop window.
    """
    if row.get("crop_side") is None:
        return float("nan")
    # The window holds the head: its slack on each side is known from how windows are made.
    side, left, top = (float(row[f"crop_{name}"]) for name in ("side", "left", "top"))
    outside = {
        "left": -left,
        "top": -top,
        "right": left + side - row["width"],
        "bottom": top + side - row["height"],
    }
    face = float(row["face_px"])
    return max(value / face - SLACK[name] for name, value in outside.items())


def _verdicts(row: Mapping[str, Any], filters: Filters):
    # NaN compares as False with everything, which is what is wanted here.
    def score(name: str) -> float:
        value = row.get(name)
        return float("nan") if value is None else float(value)

    frames, failed = score("frames"), score("frames_failed")
    yield "too_short", frames / score("fps") < filters.min_seconds
    yield "small_face", score("face_px") < filters.min_face
    yield "cut_off", cut_off(row) > filters.max_cut_off
    yield "unsteady", score("detected") < filters.min_detected
    yield "no_landmarks", failed > filters.max_failed * (frames + failed)
    yield "blurred", score("sharpness") < filters.min_sharpness
    yield "dark", score("brightness") < filters.min_brightness
    yield "overexposed", score("brightness") > filters.max_brightness
    yield "flat", score("contrast") < filters.min_contrast
    yield "profile", abs(score("yaw")) > filters.max_yaw
    yield "still", score("stillness") < filters.min_stillness
    yield "not_talking", score("mouth_motion") < filters.min_mouth_motion
    yield "mixed", score("purity") < filters.min_purity
