"""One row of a list, whatever file it stood in, as the request that it stands for.

A row is a mapping of its columns' names to their values, nested ones included. What is wanted is
found by the names that people give such columns; whatever is left over are labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.requests import (
    BadLine,
    Box,
    Listing,
    Request,
    as_box,
    check_range,
    locate,
    parse_box,
    parse_size,
    parse_time,
)
from fsh.schemas import urls
from fsh.schemas.text import readable

# The first name that a row has wins.
_URL = [
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
    "file_path",
    "video_path",
    "video",
    "src",
    "source",
]
_YOUTUBE = ["youtube_id", "ytb_id", "yt_id", "ytid", "video_id", "videoid", "id"]
_START = ["start", "start_time", "start_sec", "start_seconds", "begin", "from", "t0"]
_END = ["end", "end_time", "end_sec", "end_seconds", "stop", "to", "t1"]
_START_FRAME, _END_FRAME = ["start_frame", "frame_start"], ["end_frame", "frame_end"]
_IDENTITY = [
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
_BOX = ["bbox", "box", "bounding_box", "face_box"]
_CORNERS = (
    ("left", "x1", "xmin"),
    ("top", "y1", "ymin"),
    ("right", "x2", "xmax"),
    ("bottom", "y2", "ymax"),
)
_LICENSE = ["license", "licence"]
_WIDTH, _HEIGHT = ("bbox_width", "width"), ("bbox_height", "height")
#: Columns that are no labels: they say what is wanted, or follow from it.
_SPENT = {
    *(*_URL, *_YOUTUBE, *_START, *_END, *_START_FRAME, *_END_FRAME, *_BOX, *_LICENSE),
    *(name for names in _CORNERS for name in names),
    *(*_WIDTH, *_HEIGHT, "fps", "duration", "durations"),
}
#: Names of levels of nested rows that say nothing: in ``emotion: labels: happy`` the emotion does.
_WRAPPERS = {"attributes", "info", "labels", "label", "value", "values", "meta", "metadata"}
_LONGEST, _MOST = 200, 40


def column_names(header: Sequence[str]) -> list[str]:
    """Names of columns as this module knows them: in lower case, with underscores."""
    plain = (cell.strip().strip("\ufeff\"'").lower() for cell in header)
    return [name.replace(" ", "_").replace("-", "_") for name in plain]


def url_column(names: Iterable[str]) -> str:
    """The column that says which video is meant, or empty."""
    known = set(names)
    return next((name for name in (*_URL, *_YOUTUBE) if name in known), "")


def from_records(
    records: Iterable[tuple[int, Mapping[str, Any] | str]], where: str, base: Path | None
) -> Listing:
    """Requests of numbered rows; a text in a row's place says why it is none."""
    listing = Listing()
    for number, record in records:
        try:
            if isinstance(record, str):
                raise ValueError(record)
            listing.requests.append(_request(record, where, number, base))
        except (ValueError, TypeError) as error:
            listing.bad_lines.append(BadLine(where, number, str(error)))
    return listing


def flat_record(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A nested row as one level: each value under the innermost name that says what it is.

    Where two have one name, the outer one keeps it. Boxes stay whole.
    """
    flat: dict[str, Any] = {}
    level: list[tuple[str, Mapping[str, Any]]] = [("", entry)]
    while level:
        below = []
        for outer, values in level:
            names = column_names([str(key) for key in values])
            for name, value in zip(names, values.values(), strict=True):
                named = outer if outer and name in _WRAPPERS else name
                if isinstance(value, Mapping):
                    below.append((outer if name in _WRAPPERS else name, value))
                elif named not in flat:
                    flat[named] = value
        level = below
    return flat


def _request(record: Mapping[str, Any], where: str, number: int, base: Path | None) -> Request:
    """Raises:
    ValueError: if a value of the row is not what its column should hold.
    """
    start, end = _range(record)
    check_range(start, end)
    box = _box(record)
    width, height = _resolution(record, box)
    column, identity = _first(record, _IDENTITY)
    return Request(
        url=_url(record, base),
        list=where,
        line=number,
        start=start,
        end=end,
        identity=readable(identity),
        bbox=box,
        bbox_width=width,
        bbox_height=height,
        license=readable(_first(record, _LICENSE)[1]),
        labels=labels_of(record, {column}),
        trusted=base is not None,
    )


def labels_of(record: Mapping[str, Any], spent: Iterable[str] = ()) -> str:
    """What else a row says, as one JSON object of texts; empty if it says nothing.

    Args:
        spent: columns that are no labels, besides those that say what is wanted.
    """
    spent = _SPENT.union(spent)
    labels = {
        readable(name): text[:_LONGEST]
        for name, value in record.items()
        if name and name not in spent and (text := readable(_label(value)))
    }
    if not labels:
        return ""
    return json.dumps(dict(sorted(labels.items())[:_MOST]), ensure_ascii=False)


def _label(value: Any) -> str:
    """A label's value as a text: of several the texts in them, with commas between."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(filter(None, (v for v in value.values() if isinstance(v, str))))
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_label, value[:_MOST])))
    return "" if _is_blank(value) else str(value).strip()


def _url(record: Mapping[str, Any], base: Path | None) -> str:
    """Raises:
    ValueError: if no column names a video; why the first one that should does not.
    """
    reasons = []
    for name in (*_URL, *_YOUTUBE):
        entry = _first(record, [name])[1]
        if not entry:
            continue
        if name in _YOUTUBE and urls.youtube_key(f"https://youtu.be/{entry}") == entry:
            return f"https://www.youtube.com/watch?v={entry}"
        try:
            return locate(entry, base)
        except ValueError as error:
            reasons.append(error)
    raise reasons[0] if reasons else ValueError("no URL, path or video id")


def _range(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Seconds. VoxCeleb's start and end count frames at the row's own fps."""
    voxceleb = {"video_id", "start", "end", "bbox", "fps"} <= record.keys()
    start, end = _first(record, _START)[1], _first(record, _END)[1]
    if not voxceleb and (start or end):
        return parse_time(start), parse_time(end)
    if not voxceleb:
        start, end = _first(record, _START_FRAME)[1], _first(record, _END_FRAME)[1]
    if not start and not end:
        return None, None
    fps = parse_time(_first(record, ["fps"])[1])
    if not fps:
        raise ValueError("a frame range without a frame rate")
    first, last = parse_time(start), parse_time(end)
    return (
        None if first is None else round(first / fps, 6),
        None if last is None else round(last / fps, 6),
    )


def _box(record: Mapping[str, Any]) -> Box | None:
    for name in _BOX:
        value = record.get(name)
        if isinstance(value, list | tuple):
            return as_box(value) if value else None
        if not _is_blank(value):
            return parse_box(str(value))
    corners = [_first(record, names)[1] for names in _CORNERS]
    return as_box(map(float, corners)) if all(corners) else None


def _resolution(record: Mapping[str, Any], box: Box | None) -> tuple[int | None, int | None]:
    """Width and height of the frame that a box refers to: 1 × 1 if it is in shares."""
    if box is None:
        return None, None
    if is_in_shares(box):
        return 1, 1
    return parse_size(_first(record, _WIDTH)[1]), parse_size(_first(record, _HEIGHT)[1])


def is_in_shares(box: Box) -> bool:
    """Whether a box is in shares of the frame, 0 … 1, a little over its edges perhaps."""
    return min(box) > -0.5 and max(box) < 1.5


def _first(record: Mapping[str, Any], names: Iterable[str]) -> tuple[str, str]:
    """The first named column that holds anything, and that as text; empty if none does."""
    for name in names:
        value = record.get(name)
        if not _is_blank(value) and not isinstance(value, Mapping):
            return name, str(value).strip()
    return "", ""


def _is_blank(value: Any) -> bool:
    """Whether a cell holds nothing; tables of other tools write NaN there."""
    return value is None or value != value or str(value).strip() in ("", "nan", "None", "null")
