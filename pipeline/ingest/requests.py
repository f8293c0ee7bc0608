"""What a list asks for: requests, as the list readers give them to the ledger."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsh.pipeline.media.suffixes import VIDEO_SUFFIXES
from fsh.schemas import urls
from fsh.schemas.text import shown

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Request:
    """One wanted video, or one wanted range of it.

    Attributes:
        url: an http(s) URL or an absolute path.
        list, line: which list asked, and its line or row, from 1; empty and 0 for an argument.
        start, end: seconds; None: the video's beginning or end.
        identity: who it shows, as the list says; may be empty.
        bbox: left, top, right, bottom in pixels of a frame of bbox_width × bbox_height. Either may
            be unknown (None): then the video's own aspect ratio gives it.
        license: what the list states; may be empty.
        trusted: the list is the user's own, so local paths and private hosts may be named.
    """

    url: str
    list: str = ""
    line: int = 0
    start: float | None = None
    end: float | None = None
    identity: str = ""
    bbox: Box | None = None
    bbox_width: int | None = None
    bbox_height: int | None = None
    license: str = ""
    trusted: bool = True

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Request:
        """The request whose fields a journal holds."""
        return cls(**{**values, "bbox": tuple(values["bbox"]) if values["bbox"] else None})

    @property
    def key(self) -> str:
        """The video it asks for: requests of one key are fetched once."""
        return urls.source_key(self.url)

    @property
    def request_id(self) -> str:
        """16 hex digits that survive any edit of the list around this request."""
        wanted = repr((self.key, self.start, self.end, self.bbox))
        return hashlib.sha256(wanted.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a list that cannot be understood, and why."""

    list: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{shown(self.list)}:{self.line}: {self.why}"


@dataclass
class Listing:
    """What lists ask for, their malformed lines, and notes for the user about them."""

    requests: list[Request] = field(default_factory=list)
    bad_lines: list[BadLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def extend(self, other: Listing) -> None:
        self.requests += other.requests
        self.bad_lines += other.bad_lines
        self.notes += other.notes


def unique(requests: Iterable[Request]) -> list[Request]:
    """One request per id, in order; of repeated ones the last label wins."""
    return list({request.request_id: request for request in requests}.values())


def locate(entry: str, base: Path | None) -> str:
    """A list's entry as a URL or an absolute path.

    Paths are relative to the list's own folder, then to the working folder. Without a base (the
    list came from the net) paths stay as they are: they are refused later.

    Raises:
        ValueError: if it is neither a URL nor anything like a path.
    """
    entry = urls.with_scheme(entry.strip())
    if not entry:
        raise ValueError("empty")
    if any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in entry):
        raise ValueError("holds control characters or is not UTF-8")
    if urls.is_url(entry) and not (base is not None and urls.exists(base / entry)):
        if re.search(r"\s", entry):
            raise ValueError(f"blank inside a URL: {entry[:120]!r}")
        return entry
    if base is None:
        return entry
    wanted = urls.user_path(entry, base)
    candidates = [wanted] if wanted.is_absolute() else [base / wanted, Path.cwd() / wanted]
    for candidate in candidates:
        try:
            if candidate.exists():
                return str(candidate.absolute())
        except OSError as error:  # a name too long, for one
            raise ValueError(f"not a path ({error.strerror})") from None
    if urls.is_youtube_id(entry):
        return f"https://www.youtube.com/watch?v={entry}"
    if "/" in entry or wanted.suffix.lower() in VIDEO_SUFFIXES:
        return str(candidates[0].absolute())
    raise ValueError(f"neither a URL nor a file: {entry[:120]!r}")


def parse_time(text: str) -> float | None:
    """Seconds from ``12.5``, ``1:02`` or ``01:02:03.5``; None from nothing.

    Raises:
        ValueError: if it is none of these.
    """
    text = text.strip()
    if not text or text.lower() in ("nan", "none", "null", "na"):
        return None
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d{1,3}):)?(\d+(?:\.\d*)?|\.\d+)s?", text)
    if not match:
        try:  # 1e3, or a float that a spreadsheet wrote its own way
            seconds = float(text)
        except ValueError:
            raise ValueError(f"not a time: {text[:40]!r}") from None
    else:
        hours, minutes, rest = match.groups()
        seconds = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"not a time: {text[:40]!r}")
    return seconds


def check_range(start: float | None, end: float | None) -> None:
    """Raises:
    ValueError: if the range ends before it starts.
    """
    if end is not None and end <= (start or 0.0):
        raise ValueError(f"ends at {end:g} s, before it starts at {start or 0:g} s")


def parse_box(text: str) -> Box | None:
    """left, top, right, bottom from ``l-t-r-b``, ``[l, t, r, b]`` or four numbers with blanks.

    Raises:
        ValueError: if it is not four numbers that span an area.
    """
    text = text.strip().strip("[]()")
    if not text:
        return None
    if dashed := re.fullmatch(r"(-?\d+)-(-?\d+)-(\d+)-(\d+)", text):
        numbers = [float(value) for value in dashed.groups()]
    else:
        try:
            numbers = [float(value) for value in re.split(r"[,;\s]+", text)]
        except ValueError:
            raise ValueError(f"not a box: {text[:60]!r}") from None
    return as_box(numbers)


def as_box(numbers: Iterable[float]) -> Box:
    """Raises:
    ValueError: if it is not four finite numbers that span an area.
    """
    values = tuple(float(number) for number in numbers)
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise ValueError(f"not a box of four numbers: {values}")
    left, top, right, bottom = values
    if right <= left or bottom <= top:
        raise ValueError(f"box without an area: {values}")
    return left, top, right, bottom
