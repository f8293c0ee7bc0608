"""The names that people give a list's columns, and what each of them means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# The first name that a row has wins.
URL = [
    "url",
    "link",
    "uri",
    "video_url",
    "video_link",
    "youtube_url",
    "source_url",
    "href",
    "path",
    "file",
    "filename",
    "file_name",
    "file_path",
    "video_path",
    "video",
    "src",
    "source",
]
YOUTUBE = ["youtube_id", "ytb_id", "yt_id", "ytid", "video_id", "videoid", "id"]
START = ["start", "start_time", "start_sec", "start_seconds", "start_s", "begin", "from", "t0"]
END = ["end", "end_time", "end_sec", "end_seconds", "end_s", "stop", "to", "t1"]
DURATION = ["duration", "clip_duration", "duration_s", "duration_sec", "duration_seconds"]
#: Columns that hold a whole range, or several.
RANGES = [
    *("range", "time_range", "ranges", "interval", "intervals", "segment", "segments"),
    *("span", "spans", "clip", "clips", "time", "times", "timestamp", "timestamps"),
]
START_FRAME, END_FRAME = ["start_frame", "frame_start"], ["end_frame", "frame_end"]
IDENTITY = [
    "identity",
    "person_id",
    "person",
    "speaker_id",
    "speaker",
    "subject",
    "celebrity",
    "name",
    "label",
]
BOX = ["bbox", "box", "bounding_box", "face_box"]
CORNERS = (
    ("left", "x1", "xmin", "x_min", "bbox_x1", "bbox_left"),
    ("top", "y1", "ymin", "y_min", "bbox_y1", "bbox_top"),
    ("right", "x2", "xmax", "x_max", "bbox_x2", "bbox_right"),
    ("bottom", "y2", "ymax", "y_max", "bbox_y2", "bbox_bottom"),
)
#: The same box by a corner and its size, where there is no right and bottom edge.
CORNER_AND_SIZE = (
    ("left", "top", "width", "height"),
    ("left", "top", "w", "h"),
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("bbox_x", "bbox_y", "bbox_w", "bbox_h"),
    ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
)
LICENSE = ["license", "licence"]
WIDTH, HEIGHT = ("bbox_width", "width"), ("bbox_height", "height")
#: Columns that are no labels: they say what is wanted, or follow from it.
SPENT = {
    *(*URL, *YOUTUBE, *START, *END, *DURATION, *START_FRAME, *END_FRAME, *BOX, *LICENSE),
    *(name for names in CORNERS for name in names),
    *(*WIDTH, *HEIGHT, "fps", "durations"),
    *(f"{name}_ms" for names in (START, END, DURATION) for name in names),
}
#: A unit that is no news, and one that is.
_SECONDS = re.compile(r"[\s_]*[(\[]\s*(?:in\s+)?(?:s|secs?|seconds|px|pixels)\s*[)\]]$")
_THOUSANDTHS = re.compile(
    r"[\s_]*[(\[]\s*(?:in\s+)?(?:ms|msecs?|milliseconds)\s*[)\]]$|_(?:msecs?|milliseconds)$"
)
#: Names that mean something; all others stay as they are written.
_KNOWN = {*SPENT, *IDENTITY, *RANGES, *(name for names in CORNER_AND_SIZE for name in names)}
#: What is behind a name that stands in one row again.
AGAIN = "_again"
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: What a name ends in whose numbers are thousandths of a second.
_MS = "_ms"
THOUSAND = 1000.0


def column_names(header: Sequence[str]) -> list[str]:
    """Names of columns as this module knows them: in lower case, with underscores.

    ``startTime``, ``Start Time (s)`` and ``start-time`` are ``start_time``; what means nothing
    here keeps its words as they are.
    """
    return [_column_name(cell) for cell in header]


def _column_name(cell: str) -> str:
    name = cell.strip().strip("\ufeff\"'")
    plain = _underscored(name)
    parted = _HUMP.sub("_", name.replace("YouTube", "Youtube")).lower()
    other = _underscored(_THOUSANDTHS.sub(_MS, _SECONDS.sub("", parted)))
    return other if other in _KNOWN and plain not in _KNOWN else plain


def _underscored(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")


def url_column(names: Iterable[str]) -> str:
    """The column that says which video is meant, or empty."""
    known = set(names)
    return next((name for name in (*URL, *YOUTUBE) if name in known), "")


def row_of(names: Sequence[str], cells: Iterable[Any]) -> dict[str, Any]:
    """A row by its columns' names; of columns with one name the first that holds anything.

    What a later one of that name holds besides is kept as the column ``name_again``.
    """
    row: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=False):
        if name not in row or is_blank(row[name]):
            row[name] = cell
        elif name and not is_blank(cell) and cell != row[name]:
            while (name := name + AGAIN) in row:
                pass
            row[name] = cell
    return row


def first_of(record: Mapping[str, Any], names: Iterable[str]) -> tuple[str, str]:
    """The first named column that holds anything, and that as text; empty if none does."""
    for name in names:
        value = record.get(name)
        if not is_blank(value) and not isinstance(value, Mapping):
            return name, str(value).strip()
    return "", ""


def time_of(record: Mapping[str, Any], names: Iterable[str]) -> tuple[str, float]:
    """The text of the first named column that holds anything, and what makes it seconds: 1 or
    1000, by which it is divided."""
    names = list(names)
    text = first_of(record, names)[1]
    if not text and (text := first_of(record, [name + _MS for name in names])[1]):
        return text, THOUSAND
    return text, 1.0


def thousandths(names: Iterable[str]) -> set[str]:
    """The names of the same columns in thousandths of a second."""
    return {name + _MS for name in names}


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing; tables of other tools write NaN there."""
    return value is None or value != value or str(value).strip() in ("", "nan", "None", "null")
