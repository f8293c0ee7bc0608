"""Which clips are kept: thresholds on stored scores, so that changing one decodes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fsh.pipeline.dataset.config import FilterConfig
from fsh.pipeline.faces.crop import HEAD
from fsh.pipeline.faces.scores import SHARPNESS_FALL
from fsh.schemas.records import Clip, RejectReason, known
from fsh.schemas.spec import FaceSpec

#: Confidence from which on a sync offset is believed.
SURE = 4.0


def reject_reason(clip: Clip, filters: FilterConfig, spec: FaceSpec) -> RejectReason | None:
    """Why a clip is rejected; None if it is kept.

    A reason that the analysis already gave stands. A score that could not be measured (None or
    NaN) rejects nothing.

    Args:
        spec: how the clip was cropped.
    """
    if clip.reason:
        return clip.reason
    return next((reason for reason, fails in verdicts(clip, filters, spec) if fails), None)


def verdicts(
    clip: Clip, filters: FilterConfig, spec: FaceSpec
) -> Iterator[tuple[RejectReason, bool]]:
    """Every filter's reason, in order, and whether it would reject the clip."""
    frames, failed = _number(clip.frames), _number(clip.frames_failed)
    sharpness = _number(clip.sharpness) * (spec.size / 256) ** SHARPNESS_FALL
    brightness = _number(clip.brightness)
    consistency = _number(clip.identity_consistency)
    # NaN compares as False with everything, which is what is wanted here.
    yield RejectReason.TOO_SHORT, frames / _number(clip.fps) < filters.min_seconds
    yield RejectReason.SMALL_FACE, _number(clip.face_px) < filters.min_face
    yield RejectReason.CUT_OFF, cut_off(clip, spec) > filters.max_cut_off
    yield RejectReason.UNSTEADY, _number(clip.detected) < filters.min_detected
    yield RejectReason.NO_LANDMARKS, failed > filters.max_failed * (frames + failed)
    yield RejectReason.BLURRED, sharpness < filters.min_sharpness
    yield RejectReason.DARK, brightness < filters.min_brightness
    yield RejectReason.OVEREXPOSED, brightness > filters.max_brightness
    yield RejectReason.FLAT, _number(clip.contrast) < filters.min_contrast
    yield RejectReason.PROFILE, abs(_number(clip.yaw)) > filters.max_yaw
    yield RejectReason.STILL, _number(clip.frame_difference) < filters.min_frame_difference
    yield RejectReason.NOT_TALKING, _number(clip.mouth_motion) < filters.min_mouth_motion
    yield RejectReason.MIXED, consistency < filters.min_identity_consistency
    yield RejectReason.NO_SPEECH, _number(clip.speech) < filters.min_speech
    confidence = _number(clip.sync_confidence)
    yield RejectReason.OTHER_VOICE, confidence < filters.min_sync
    late = abs(_number(clip.sync_offset)) > filters.max_sync_offset
    yield RejectReason.OUT_OF_SYNC, late and confidence >= SURE
    yield RejectReason.UNDER_TEXT, _number(clip.text_overlap) > filters.max_text
    yield RejectReason.DUPLICATE, bool(clip.duplicate_of) and filters.duplicates < 1


def cut_off(clip: Clip, spec: FaceSpec) -> float:
    """How far the head, from hair to chin, reaches out of the frame, in sides of its face box.

    Zero or less if it does not; NaN for a clip without crop window.
    """
    if clip.window is None:
        return float("nan")
    left, top, side = clip.window
    face = known(clip.face_px)
    # The head at rest, where the window has it.
    middle = np.array([left + side / 2, top + side / 2 + spec.shift * face])
    head = np.tile(middle, 2) + face * HEAD
    outside = [*-head[:2], *(head[2:] - (known(clip.width), known(clip.height)))]
    return float(max(outside) / face)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
