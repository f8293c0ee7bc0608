"""Which clips are kept: thresholds on stored scores, so that changing one decodes nothing.

Each threshold is measured on columns of the table of clips at once: of one clip, or of a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from fsh.pipeline.dataset.config import FilterConfig
from fsh.pipeline.faces.crop import HEAD
from fsh.pipeline.faces.scores import SHARPNESS_FALL
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.tables.records import Clip, RejectReason

#: Confidence from which on a sync offset is believed.
SURE = 4.0
#: Columns of the table of clips, float64 (n,), NaN where there is no value; ``duplicate_of`` is 1
#: where there is one, else 0.
Columns = Mapping[str, np.ndarray]


class Threshold(NamedTuple):
    """One filter.

    Attributes:
        name: of its value in :class:`~fsh.pipeline.dataset.config.FilterConfig`; one that begins
            with ``min_`` rejects what is less, others what is more.
        reason: why it rejects.
        label: what is measured, for people.
        measure: that, float64 (n,), of columns of clips cropped to a spec; NaN rejects nothing.
    """

    name: str
    reason: RejectReason
    label: str
    measure: Callable[[Columns, FaceSpec], np.ndarray]

    @property
    def least(self) -> bool:
        """Whether it rejects what is less."""
        return self.name.startswith("min_")

    def fails(self, values: np.ndarray, limit: float) -> np.ndarray:
        """bool (n,): what it rejects at a limit. NaN compares as False, which is wanted here."""
        return values < limit if self.least else values > limit


def _column(name: str) -> Callable[[Columns, FaceSpec], np.ndarray]:
    return lambda columns, _: columns[name]


def _size(name: str) -> Callable[[Columns, FaceSpec], np.ndarray]:
    return lambda columns, _: np.abs(columns[name])


def _sharpness(columns: Columns, spec: FaceSpec) -> np.ndarray:
    return columns["sharpness"] * (spec.size / 256) ** SHARPNESS_FALL


def _failed_share(columns: Columns, _: FaceSpec) -> np.ndarray:
    frames, failed = columns["frames"], columns["frames_failed"]
    return failed / np.where(frames + failed > 0, frames + failed, np.nan)


def _seconds(columns: Columns, _: FaceSpec) -> np.ndarray:
    return columns["frames"] / np.where(columns["fps"] > 0, columns["fps"], np.nan)


def _lateness(columns: Columns, _: FaceSpec) -> np.ndarray:
    sure = columns["sync_confidence"] >= SURE
    return np.where(sure, np.abs(columns["sync_offset"]), np.nan)


def cut_off(columns: Columns, spec: FaceSpec) -> np.ndarray:
    """How far the head, from hair to chin, reaches out of the frame, in sides of its face box.

    Zero or less if it does not; NaN for a clip without crop window.
    """
    face, side = columns["face_px"], columns["crop_side"]
    # The head at rest, where the window has it.
    across = columns["crop_left"] + side / 2
    down = columns["crop_top"] + side / 2 + spec.shift * face
    left, top, right, bottom = (float(edge) for edge in HEAD)
    outside = [
        *(-(across + face * left), -(down + face * top)),
        *(across + face * right - columns["width"], down + face * bottom - columns["height"]),
    ]
    return np.max(outside, axis=0) / np.where(face > 0, face, np.nan)


#: All filters, in their order.
THRESHOLDS = (
    Threshold("min_seconds", RejectReason.TOO_SHORT, "seconds", _seconds),
    Threshold("min_face", RejectReason.SMALL_FACE, "face, pixels", _column("face_px")),
    Threshold("max_cut_off", RejectReason.CUT_OFF, "head out of the frame", cut_off),
    Threshold("min_detected", RejectReason.UNSTEADY, "detected", _column("detected")),
    Threshold("max_failed", RejectReason.NO_LANDMARKS, "frames without landmarks", _failed_share),
    Threshold("min_sharpness", RejectReason.BLURRED, "sharpness", _sharpness),
    Threshold("min_brightness", RejectReason.DARK, "brightness, at least", _column("brightness")),
    Threshold("max_brightness", RejectReason.OVEREXPOSED, "brightness", _column("brightness")),
    Threshold("min_contrast", RejectReason.FLAT, "contrast", _column("contrast")),
    Threshold("max_yaw", RejectReason.PROFILE, "yaw, degrees", _size("yaw")),
    Threshold("min_frame_difference", RejectReason.STILL, "motion", _column("frame_difference")),
    Threshold("min_mouth_motion", RejectReason.NOT_TALKING, "mouth", _column("mouth_motion")),
    Threshold(
        "min_identity_consistency",
        RejectReason.MIXED,
        "one person",
        _column("identity_consistency"),
    ),
    Threshold("min_speech", RejectReason.NO_SPEECH, "speech", _column("speech")),
    Threshold("min_sync", RejectReason.OTHER_VOICE, "synchrony", _column("sync_confidence")),
    Threshold("max_sync_offset", RejectReason.OUT_OF_SYNC, "sync offset, seconds", _lateness),
    Threshold("max_text", RejectReason.UNDER_TEXT, "text over the face", _column("text_overlap")),
    Threshold("duplicates", RejectReason.DUPLICATE, "duplicate", _column("duplicate_of")),
)
#: Columns that they are measured on.
MEASURED = (
    *("frames", "frames_failed", "fps", "face_px", "crop_left", "crop_top", "crop_side", "width"),
    *("height", "detected", "sharpness", "brightness", "contrast", "yaw", "frame_difference"),
    *("mouth_motion", "identity_consistency", "speech", "sync_confidence", "sync_offset"),
    *("text_overlap", "duplicate_of"),
)


def columns_of_clip(clip: Clip) -> Columns:
    """The columns of a table of one clip."""
    return columns_of_clips([clip])


def columns_of_clips(clips: Sequence[Clip]) -> Columns:
    """The columns of a table of these clips."""
    found = {
        name: np.array([getattr(clip, name) for clip in clips], np.float64)  # None is NaN
        for name in MEASURED
        if name != "duplicate_of"
    }
    same = [clip.duplicate_of is not None for clip in clips]
    return found | {"duplicate_of": np.array(same, np.float64)}


def columns_of_table(table: pa.Table) -> Columns:
    """The columns of a table of clips."""
    found = {}
    for name in MEASURED:
        if name == "duplicate_of":
            found[name] = np.asarray(table[name].is_valid(), np.float64)
        else:
            found[name] = table[name].to_numpy().astype(np.float64)
    return found


def reject_reason(clip: Clip, filters: FilterConfig, spec: FaceSpec) -> RejectReason | None:
    """Why a clip is rejected; None if it is kept.

    A reason that the analysis already gave stands. A score that could not be measured (None or
    NaN) rejects nothing.

    Args:
        spec: how the clip was cropped.
    """
    return reject_reasons([clip], filters, spec)[0]


def reject_reasons(
    clips: Sequence[Clip], filters: FilterConfig, spec: FaceSpec
) -> list[RejectReason | None]:
    """:func:`reject_reason` of every clip."""
    columns = columns_of_clips(clips)
    first = np.full(len(clips), len(THRESHOLDS))
    for number, one in reversed([*enumerate(THRESHOLDS)]):
        first[one.fails(one.measure(columns, spec), getattr(filters, one.name))] = number
    reasons = [*(one.reason for one in THRESHOLDS), None]
    return [clip.reason or reasons[at] for clip, at in zip(clips, first.tolist(), strict=True)]


def verdicts(
    clip: Clip, filters: FilterConfig, spec: FaceSpec
) -> Iterator[tuple[RejectReason, bool]]:
    """Every filter's reason, in order, and whether it would reject the clip."""
    columns = columns_of_clip(clip)
    for one in THRESHOLDS:
        values = one.measure(columns, spec)
        yield one.reason, bool(one.fails(values, getattr(filters, one.name))[0])
