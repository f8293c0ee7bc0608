"""The records of a data set's tables as typed values: a requested source, and a face clip.

They are what travels between the steps. :mod:`fsh.schemas.tables.parquet` turns them into Parquet
and back, and nothing else does; the columns are described there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.tables.conditions import label_in
from fsh.schemas.text import storable, stored_text
from fsh.schemas.urls import range_key, source_key


class SourceState(StrEnum):
    """What became of a request."""

    STORED = "stored"
    FAILED = "failed"
    REFUSED = "refused"


class ErrorClass(StrEnum):
    """Why a request failed: for good, for now, or because fsh does not let it in."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    REFUSED = "refused"


class RejectReason(StrEnum):
    """Why a face track, or a stretch of a video without any, is not in the shards."""

    # What an older version has left out: a face it may have been or none, a fade, no picture.
    NOT_RECORDED = "not_recorded"
    # Found while a video is analysed.
    NO_PICTURE = "no_picture"
    TRANSITION = "transition"
    NO_FACE = "no_face"
    EDGE = "edge"
    BRIEF_TRACK = "brief_track"
    TINY_FACE = "tiny_face"
    NO_LANDMARKS = "no_landmarks"
    # What a video failed of; the same names as :class:`fsh.pipeline.sandbox.JobFailed` has.
    UNREADABLE = "unreadable"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    INTERNAL = "internal"
    # Filters on stored scores, in their order.
    TOO_SHORT = "too_short"
    SMALL_FACE = "small_face"
    CUT_OFF = "cut_off"
    UNSTEADY = "unsteady"
    BLURRED = "blurred"
    DARK = "dark"
    OVEREXPOSED = "overexposed"
    FLAT = "flat"
    PROFILE = "profile"
    STILL = "still"
    NOT_TALKING = "not_talking"
    MIXED = "mixed"
    NO_SPEECH = "no_speech"
    OTHER_VOICE = "other_voice"
    OUT_OF_SYNC = "out_of_sync"
    UNDER_TEXT = "under_text"
    DUPLICATE = "duplicate"
    # A condition on the labels of the user's list.
    OTHER_LABEL = "other_label"


#: Reasons that say that a video, or a span of it, could not be worked on.
FAILURES = (
    *(RejectReason.UNREADABLE, RejectReason.TIMEOUT),
    *(RejectReason.MEMORY, RejectReason.CRASHED, RejectReason.INTERNAL),
)


class IdentityOrigin(StrEnum):
    """Where a clip's identity comes from: the user's list, a cluster of faces, or its video."""

    LABEL = "label"
    CLUSTER = "cluster"
    VIDEO = "video"


_T = TypeVar("_T")
_Enums = Mapping[str, type[StrEnum]]


def known(value: _T | None) -> _T:
    """A field's value where it cannot be missing, such as the start of a clip that was cropped.

    Raises:
        FshError: if it is None after all: whoever wrote the table did not finish it.
    """
    if value is None:
        raise FshError(
            "a row of a table lacks a value that it must have: damaged, or of another tool",
            remedy="run `fsh shard` again",
        )
    return value


class _Record:
    """Rows of a table to records and back.

    A null is read as the field's default. Enums are their values, and "" where there is none. Texts
    that are no UTF-8, such as file names, are written with escapes and read back the same.
    """

    _enums: ClassVar[_Enums] = {}
    #: Those of them that are null, not "", where there is none.
    _null: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """A record of a table's row, whose columns are the record's fields.

        Raises:
            ValueError: if a column that has a fixed set of values holds another one.
            TypeError: if a column is unknown, or one without default is missing or null.
        """
        values = {
            name: stored_text(value) if isinstance(value, str) else value
            for name, value in row.items()
            if value is not None
        }
        for name, kind in cls._enums.items():
            if value := values.pop(name, ""):
                values[name] = kind(value)
        return cls(**values)

    def to_row(self) -> dict[str, Any]:
        """The record as a table's row."""
        row = {f.name: self.in_table(f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {name: storable(v) if isinstance(v, str) else v for name, v in row.items()}

    def in_table(self, name: str) -> Any:
        """A field as a table holds it; a text may be no UTF-8."""
        value, blank = getattr(self, name), None if name in self._null else ""
        return (value.value if value else blank) if name in self._enums else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(_Record):
    """One requested URL or file: a row of ``sources.parquet``.

    The columns are described in :data:`~fsh.schemas.tables.columns.SOURCES`.
    """

    _enums: ClassVar[_Enums] = {"state": SourceState, "error_class": ErrorClass}

    request_id: str
    url: str
    list: str = ""
    line: int = 0
    video_id: str = ""
    start: float | None = None
    end: float | None = None
    identity: str = ""
    bbox: tuple[float, float, float, float] | None = None
    bbox_width: int | None = None
    bbox_height: int | None = None
    labels: str = ""
    state: SourceState
    error_class: ErrorClass | None = None
    error_code: str = ""
    error: str = ""
    attempts: int = 0
    uploader: str = ""
    license: str = "unknown"
    upload_date: str = ""
    metadata: str = ""
    path: str = ""
    sha256: str = ""
    bytes: int | None = None
    file_start: float | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    rotation: int | None = None
    video_codec: str = ""
    audio_codec: str = ""
    pixel_format: str = ""
    first_seen: str = ""
    last_tried: str = ""

    def __post_init__(self) -> None:
        if self.bbox is not None and not isinstance(self.bbox, tuple):  # a list in a table's row
            object.__setattr__(self, "bbox", tuple(self.bbox))

    @property
    def key(self) -> str:
        """Which video was asked for (:func:`fsh.schemas.urls.source_key`)."""
        return source_key(self.url)

    @property
    def fetch_key(self) -> str:
        """Which file was asked for: sources of one key share it."""
        return self.key if self.file_start is None else range_key(self.url, self.start, self.end)

    @property
    def range_in_file(self) -> tuple[float, float | None]:
        """Where the wanted part starts and ends in the stored file, seconds; None: at its end."""
        begins = self.file_start or 0.0
        end = None if self.end is None else max(0.0, self.end - begins)
        return max(0.0, (self.start or 0.0) - begins), end

    def label(self, name: str) -> str:
        """What the list says of ``name``, such as ``language``; empty if it says nothing."""
        if name in ("identity", "license", "uploader"):
            return str(getattr(self, name))
        return label_in(self.labels, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip(_Record):
    """One face track, or a stretch of a video without any: a row of ``clips.parquet``.

    Scores are None where the track was not scored and NaN where there was too little to say. The
    columns are described in :data:`~fsh.schemas.tables.columns.CLIPS`.
    """

    _enums: ClassVar[_Enums] = {"identity_from": IdentityOrigin, "reason": RejectReason}
    _null: ClassVar[frozenset[str]] = frozenset({"identity_from"})

    clip_id: str | None = None
    video_id: str
    identity: str | None = None
    identity_from: IdentityOrigin | None = None
    shot: int | None = None
    track: int | None = None
    start: float | None = None
    end: float | None = None
    cover_start: float | None = None
    cover_end: float | None = None
    fps: float | None = None
    frames: int | None = None
    frames_failed: int | None = None
    samples: int | None = None
    width: int | None = None
    height: int | None = None
    crop_left: float | None = None
    crop_top: float | None = None
    crop_side: float | None = None
    face_px: float | None = None
    drift: float | None = None
    detected: float | None = None
    score: float | None = None
    sharpness: float | None = None
    brightness: float | None = None
    contrast: float | None = None
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    pose_range: float | None = None
    mouth_motion: float | None = None
    mouth_opening: float | None = None
    eye_opening: float | None = None
    eyes_shut: float | None = None
    gaze_x: float | None = None
    gaze_y: float | None = None
    frame_difference: float | None = None
    identity_consistency: float | None = None
    speech: float | None = None
    sync_offset: float | None = None
    sync_confidence: float | None = None
    text_overlap: float | None = None
    motion_print: str | None = None
    duplicate_of: str | None = None
    embedding: np.ndarray | None = field(default=None, compare=False)
    spec: str | None = None
    kept: bool = False
    reason: RejectReason | None = None
    error: str | None = None
    split: str | None = None
    shard: str | None = None
    offset: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        if self.embedding is not None and not isinstance(self.embedding, np.ndarray):
            object.__setattr__(self, "embedding", np.array(self.embedding, np.float32))

    @property
    def window(self) -> tuple[float, float, float] | None:
        """The crop window in source pixels: left, top, side; None if there is none."""
        if self.crop_left is None or self.crop_top is None or self.crop_side is None:
            return None
        return self.crop_left, self.crop_top, self.crop_side
