"""VoxCeleb's own tree: one text file per track, ``<person>/<video>/<number>.txt``.

A head of ``Name : value`` lines says whom and which video it is of; below is a table of the face's
box in every frame, of 25 a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from fsh.pipeline.ingest.lists.records import from_records
from fsh.pipeline.ingest.lists.requests import Listing

#: Frames a second that VoxCeleb counts in, whatever the video has.
_FPS = 25
_FIELD = re.compile(r"(?m)^\s*([A-Za-z][\w ]*?)\s*:[ \t]*(\S+)")
_TABLE = re.compile(r"(?m)^\s*FRAME\s+X\s+Y\s+W\s+H\s*$")
_HEAD = 2048


def is_track(text: str) -> bool:
    """Whether a text begins as one of these files does."""
    head = text[:_HEAD]
    return bool(re.search(r"(?m)^\s*Reference\s*:", head) and _TABLE.search(head))


def read_track(text: str, where: str, base: Path | None) -> Listing:
    """The one request of a file; its line is 1."""
    try:
        row: dict | str = _row_of(text)
    except ValueError as error:
        row = f"not a track of VoxCeleb's ({error})"
    return from_records([(1, row)], where, base)


def track_files(folder: Path) -> Iterator[Path]:
    """The text files below a folder, in order; what is hidden is left out."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(".txt") and not name.startswith("."):
                yield Path(root, name)


def _row_of(text: str) -> dict[str, object]:
    """Raises:
    ValueError: if it has no frames, or they are no numbers.
    """
    table = _TABLE.search(text)
    if table is None:
        raise ValueError("no table of frames")
    head = {
        name.lower().replace(" ", "_"): value
        for name, value in _FIELD.findall(text[: table.start()])
    }
    rows = [line.split() for line in text[table.end() :].splitlines() if line.strip()]
    if not rows or any(len(row) != 5 for row in rows):
        raise ValueError("not frame, x, y, width, height in every line")
    frames = [int(row[0]) for row in rows]
    x, y, wide, high = (median(float(row[i]) for row in rows) for i in range(1, 5))
    return {
        "youtube_id": head.pop("reference", ""),
        "identity": head.pop("identity", ""),
        "start": min(frames) / _FPS,
        "end": (max(frames) + 1) / _FPS,
        "bbox": [x, y, x + wide, y + high],
        **head,
    }
