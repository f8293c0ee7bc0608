"""HDTF's lists: a set of text files that give a URL, time ranges and boxes for each name.

``<set>_video_url.txt`` holds ``name url``; ``<set>_annotion_time.txt`` holds ``name.mp4 mm:ss-mm:ss
…``; ``<set>_crop_wh.txt`` holds ``name_<range>.mp4 x width y height`` in pixels of a frame whose
height is in ``<set>_resolution.txt``. The names are spelled as the data set spells them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsh.pipeline.ingest.lists.requests import (
    BadLine,
    Box,
    Listing,
    Request,
    check_range,
    locate,
    parse_time,
)
from fsh.schemas.text import shown
from fsh.schemas.urls import is_url

_PARTS = "video_url|annotion_time|annotation_time|crop_wh|crop_ratio|resolution"
_FILE = re.compile(rf"(?P<set>.*?)_?(?:{_PARTS})\.txt", re.IGNORECASE)
_LINE = re.compile(r"(?!\S*://)(\S+)\s+(https?://\S+)\s*")


def set_name_of(path: Path) -> str | None:
    """The name of the set that a file belongs to by its name, or None.

    A list of URLs whose name happens to be such is a list.
    """
    match = _FILE.fullmatch(path.name)
    if match is None or (path.is_file() and any(map(is_url, read_lines(path)))):
        return None
    return match["set"]


def is_name_and_url(line: str) -> bool:
    """Whether a line is a name and a URL with blanks between."""
    return _LINE.fullmatch(line) is not None


def read_set(folder: Path, name: str) -> Listing:
    """One request per time range; a video without ranges is asked for as a whole."""
    urls_file = _find(folder, name, "video_url")
    if urls_file is None:
        note = f"{shown(folder / name)}: an HDTF set without its video_url.txt, so without URLs"
        return Listing(notes=[note])
    listing = Listing()
    times = _read_table(listing, folder, name, "annotion_time", "annotation_time", several=True)
    boxes = _read_table(listing, folder, name, "crop_wh")
    heights = _read_table(listing, folder, name, "resolution")
    lines = read_lines(urls_file)
    people = identities_of_names([line.split()[0] for line in lines if is_name_and_url(line)])
    named = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if not (match := _LINE.fullmatch(line)):
            listing.bad_lines.append(BadLine(str(urls_file), number, "not a name and a URL"))
            continue
        key, url = match.groups()
        named.add(key)
        height = _parse_height(heights.words(key))
        try:
            located = locate(url, folder)
        except ValueError as error:
            listing.bad_lines.append(BadLine(str(urls_file), number, str(error)))
            continue
        for index, start, end in _ranges_of(key, times, listing):
            box = _box_of(f"{key}_{index}", boxes, listing)
            listing.requests.append(
                Request(
                    url=located,
                    list=str(urls_file),
                    line=number,
                    start=start,
                    end=end,
                    identity=people[key],
                    bbox=box,
                    bbox_height=height if box else None,
                )
            )
    if without_url := sorted(set(times.rows) - named):
        listing.notes.append(f"{shown(times.path)}: no URL for {', '.join(without_url)}")
    return listing


def identities_of_names(names: Sequence[str]) -> dict[str, str]:
    """Who a video shows, from its name in the set.

    Numbers tell the videos of one person apart (``AmyKlobuchar0``, ``AmyKlobuchar1``), unless all
    names of the set are one word with a number (``Radio1`` … ``Radio57``): then they tell people
    apart.
    """
    stems = {name: name.rstrip("0123456789") or name for name in names}
    if len(set(stems.values())) == 1 and len(names) > 1:
        return {name: name for name in names}
    return stems


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()


def _find(folder: Path, name: str, *parts: str) -> Path | None:
    for part in parts:
        for candidate in (folder / f"{name}_{part}.txt", folder / f"{name}{part}.txt"):
            if candidate.is_file():
                return candidate
    return None


@dataclass(frozen=True)
class _Table:
    """A file of the set, by the first word of its lines without ``.mp4``.

    Attributes:
        path: the file's; empty if the set has none.
        rows: first word → number of the line, and its other words.
    """

    path: str
    rows: Mapping[str, tuple[int, Sequence[str]]]

    def line(self, key: str) -> int:
        return self.rows[key][0]

    def words(self, key: str) -> Sequence[str]:
        return self.rows[key][1] if key in self.rows else ()


def _read_table(
    listing: Listing, folder: Path, name: str, *parts: str, several: bool = False
) -> _Table:
    """A file of the set.

    Args:
        several: lines of one name are parts of one; else the first of them counts.
    """
    path = _find(folder, name, *parts)
    if path is None:
        return _Table("", {})
    rows: dict[str, tuple[int, Sequence[str]]] = {}
    for number, line in enumerate(read_lines(path), 1):
        words = line.split()
        if len(words) == 1:
            listing.bad_lines.append(BadLine(str(path), number, f"nothing after {words[0]!r}"))
        elif words:
            key = words[0].removesuffix(".mp4")
            if several and key in rows:
                rows[key] = number, [*rows[key][1], *words[1:]]
            elif key in rows and rows[key][1] != words[1:]:
                why = f"{key!r} once more, and not as in line {rows[key][0]}"
                listing.bad_lines.append(BadLine(str(path), number, why))
            else:
                rows[key] = number, words[1:]
    return _Table(str(path), rows)


def _ranges_of(
    key: str, times: _Table, listing: Listing
) -> list[tuple[int, float | None, float | None]]:
    """(index, start, end) of every time range of a video; one without an end if it has none."""
    if not times.words(key):
        return [(0, None, None)]
    ranges = []
    for index, text in enumerate(times.words(key)):
        try:
            ranges.append((index, *_parse_range(text)))
        except ValueError as error:
            listing.bad_lines.append(BadLine(times.path, times.line(key), str(error)))
    return ranges


def _box_of(key: str, boxes: _Table, listing: Listing) -> Box | None:
    try:
        return _parse_box(boxes.words(key))
    except ValueError as error:
        listing.bad_lines.append(BadLine(boxes.path, boxes.line(key), str(error)))
        return None


def _parse_range(text: str) -> tuple[float | None, float | None]:
    start, dash, end = text.partition("-")
    if not dash or not start or not end:
        raise ValueError(f"not a time range: {text!r}")
    first, last = parse_time(start), parse_time(end)
    check_range(first, last)
    return first, last


def _parse_box(words: Sequence[str]) -> Box | None:
    """left, top, right, bottom from HDTF's x, width, y, height."""
    if not words:
        return None
    if len(words) != 4 or not all(re.fullmatch(r"\d+(\.\d+)?", word) for word in words):
        raise ValueError(f"not x, width, y, height: {' '.join(words)!r}")
    left, width, top, height = map(float, words)
    if not width or not height:
        raise ValueError(f"box without an area: {' '.join(words)!r}")
    return left, top, left + width, top + height


def _parse_height(words: Sequence[str]) -> int | None:
    """Pixels; HDTF writes 0 where it did not know."""
    return int(words[0]) or None if words and words[0].isdigit() else None
