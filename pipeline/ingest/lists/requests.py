"""What a list asks for: requests, as the list readers give them to the ledger."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fsh.pipeline.media.suffixes import VIDEO_SUFFIXES
from fsh.schemas import urls
from fsh.schemas.plain import from_plain
from fsh.schemas.tables.conditions import label_in
from fsh.schemas.text import shown

Box = tuple[float, float, float, float]
#: No video is longer, in seconds, and no frame larger, in pixels.
LATEST, _LARGEST = 1e7, 1e6
_SECONDS = r"(\d+(?:\.\d*)?|\.\d+)"
_CLOCK = re.compile(rf"(?:(?:(\d+):)?(\d{{1,3}}):)?{_SECONDS}\s*(?:s|secs?|seconds)?")
#: Where in a line or a cell another URL begins.
_ANOTHER = re.compile(r"[\s,;|](?:https?|ftp)://")
_UNITS = re.compile(rf"(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:{_SECONDS}s)?")


@dataclass(frozen=True, slots=True)
class Request:
    """One wanted video, or one wanted range of it.

    Attributes:
        url: an http(s) URL or an absolute path; a user's name and password in it are dropped, as
            requests are kept and shown, and such URLs refused.
        list, line: which list asked, and its line or row, from 1; empty and 0 for an argument.
        start, end: seconds; None: the video's beginning or end.
        identity: who it shows, as the list says; may be empty.
        bbox: left, top, right, bottom in pixels of a frame of bbox_width × bbox_height; 1 × 1: in
            shares of the frame. One of them unknown (None): the video's own aspect ratio gives it;
            both: the frame is the video's own.
        license: what the list states; may be empty.
        labels: what else the list says, as one JSON object of texts; may be empty.
        alone: only its range is to be fetched, not the whole video.
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
    labels: str = ""
    alone: bool = False
    trusted: bool = True

    def __post_init__(self) -> None:
        for name in ("url", "list"):
            object.__setattr__(self, name, urls.without_user(getattr(self, name)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Request:
        """The request whose fields a journal holds.

        Raises:
            ValueError: if they are none; fields of a newer version are left out.
        """
        return from_plain(cls, values)

    @property
    def key(self) -> str:
        """The video it asks for."""
        return urls.source_key(self.url)

    @property
    def fetch_key(self) -> str:
        """The file it asks for: requests of one key are fetched once."""
        return urls.range_key(self.url, self.start, self.end) if self.alone else self.key

    def label(self, name: str) -> str:
        """What the list says of ``name``, such as ``language``; empty if it says nothing."""
        own = {"identity": self.identity, "license": self.license}
        return own[name] if name in own else label_in(self.labels, name)

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


def ranges_alone(requests: Iterable[Request]) -> list[Request]:
    """The requests, those that name a range of a site's video for that range alone.

    A direct link is downloaded whole, and so is what a list from the net names.
    """

    def is_alone(request: Request) -> bool:
        if request.end is None or not request.trusted or not urls.is_url(request.url):
            return False
        parts = urls.split_url(request.url)
        return parts is not None and Path(parts.path).suffix.lower() not in VIDEO_SUFFIXES

    return [replace(one, alone=True) if is_alone(one) else one for one in requests]


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
    if base is not None and (found := _existing(entry, base)):
        return found  # whatever its name is like
    if "://" in entry and not urls.is_url(entry):
        raise ValueError(f"a URL and something before it: {entry[:120]!r}")
    if any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in entry):
        raise ValueError("holds control characters or is not UTF-8")
    if urls.is_url(entry):
        if _ANOTHER.search(entry):
            raise ValueError(f"more than a URL: {entry[:120]!r}")
        if re.search(r"\s", entry):
            raise ValueError(f"blank inside a URL: {entry[:120]!r}")
        return entry
    if base is None:
        return entry
    if urls.is_youtube_id(entry):
        return f"https://www.youtube.com/watch?v={entry}"
    wanted = base / urls.user_path(entry, base)
    if "/" in entry or wanted.suffix.lower() in VIDEO_SUFFIXES:
        return str(wanted.absolute())
    raise ValueError(f"neither a URL nor a file: {entry[:120]!r}")


def _existing(entry: str, base: Path) -> str:
    """The file or folder that a list's entry names, as an absolute path; empty if there is none.

    Raises:
        ValueError: if no path can be so.
    """
    wanted = urls.user_path(entry, base)
    try:
        for folder in (base, Path.cwd()):
            if (folder / wanted).exists():
                return str((folder / wanted).absolute())
    except OSError as error:  # a name too long, for one
        if not urls.is_url(entry):
            raise ValueError(f"not a path ({error.strerror})") from None
    except ValueError:  # a null byte
        pass
    return ""


def parse_time(text: str) -> float | None:
    """Seconds from ``12.5``, ``1:02``, ``01:02:03.5`` or ``1h2m3s``; None from nothing.

    A comma may stand for the point, unless it may also part thousands.

    Raises:
        ValueError: if it is none of these.
    """
    text = text.strip()
    if not text or text.lower() in ("nan", "none", "null", "na"):
        return None
    plain = _with_point(text)
    match = _CLOCK.fullmatch(plain) or (_UNITS.fullmatch(plain) if plain[-1:] in "hms" else None)
    if not match:
        try:  # 1e3, or a float that a spreadsheet wrote its own way
            seconds = float(plain)
        except ValueError:
            raise ValueError(f"not a time: {text[:40]!r}") from None
    else:
        hours, minutes, rest = match.groups()
        seconds = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest or 0)
    if not 0 <= seconds <= LATEST:
        raise ValueError(f"not a time: {text[:40]!r}")
    return seconds


def _with_point(text: str) -> str:
    """A number with commas as Python writes it; as it is where a comma may mean two things."""
    if re.fullmatch(r"\d{1,3}(,\d{3})+\.\d*\s*s?", text):
        return text.replace(",", "")
    if text.count(",") == 1 and not re.fullmatch(r"\d{1,3},\d{3}\s*s?", text):
        return text.replace(",", ".")
    return text


def parse_size(text: str) -> int | None:
    """Pixels of a frame's side from ``1080`` or ``1080.0``; None from nothing or 0.

    Raises:
        ValueError: if it is none of these.
    """
    try:
        number = float(text or 0)
    except ValueError:
        number = -1.0
    if not 0 <= number <= _LARGEST:
        raise ValueError(f"not a size in pixels: {text[:40]!r}")
    return round(number) or None


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
    if len(values) != 4 or not all(abs(value) <= _LARGEST for value in values):
        raise ValueError(f"not a box of four numbers: {values}")
    left, top, right, bottom = values
    if right <= left or bottom <= top:
        raise ValueError(f"box without an area: {values}")
    return left, top, right, bottom
