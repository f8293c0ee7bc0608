"""Whom the pictures of a run show, so that an erasure finds them.

``shown/<hash>.json`` in a run's folder names one folder of pictures, which may lie elsewhere, and
the videos of everybody in them. It is written before the first picture is, and grows with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.layout import replacing

SAMPLES, EVALUATION = "samples", "evaluation"
PROTOCOLS = ("fsth", "modern")
#: Every file of a folder of samples, of an evaluation or of a study that fsh writes.
MADE = (
    "step-*.png",
    "cells/*/T*/*",
    *(f"strips/*{protocol}-*" for protocol in PROTOCOLS),
    *(f"{protocol}.{kind}" for protocol in PROTOCOLS for kind in ("json", "md", "html")),
    *("study.html", "key.json"),
    # What a kill leaves of them, see :func:`fsh.schemas.layout.replacing`.
    *(f".{stem}-*.tmp" for stem in ("step", *PROTOCOLS, "study", "key")),
)


@dataclass(frozen=True)
class Shown:
    """A folder of pictures.

    Attributes:
        run: the run that drew them.
        folder: where they are.
        videos: ids of the videos that they show; None if nobody wrote it down.
    """

    run: Path
    folder: Path
    videos: frozenset[str] | None

    @property
    def record(self) -> Path:
        return _record(self.run, _name(self.run, self.folder))

    def files(self) -> list[Path]:
        """What fsh made there; nothing else in the folder is fsh's."""
        return sorted(path for made in MADE for path in self.folder.glob(made) if path.is_file())


def record(run: Path, folder: Path, videos: Iterable[str]) -> None:
    """Write down, before they are drawn, that pictures of these videos come into a folder."""
    name, now = _name(run, folder), frozenset(videos)
    known = next((shown for shown in read(run) if shown.folder == run / name), None)
    if known and known.files():
        now |= known.videos or frozenset()
    if known is None or now != known.videos:
        with replacing(_record(run, name)) as temporary:
            temporary.write_text(json.dumps({"folder": name, "videos": sorted(now)}) + "\n")


def read(run: Path) -> Iterator[Shown]:
    """Every folder of pictures that a run has written down.

    Raises:
        FshError: if a record is damaged.
    """
    for path in sorted((run / "shown").glob("*.json")):
        try:
            known = json.loads(path.read_text())
            yield Shown(run, run / known["folder"], frozenset(known["videos"]))
        except (ValueError, KeyError, TypeError) as error:
            remedy = "remove the run's pictures, then this file"
            raise FshError("cannot be read", where=path, remedy=remedy) from error


def _record(run: Path, name: str) -> Path:
    return run / "shown" / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.json"


def _name(run: Path, folder: Path) -> str:
    """Relative to the run where it lies in it: runs are moved."""
    own, place = run.resolve(), folder.resolve()
    return str(place.relative_to(own) if place.is_relative_to(own) else place)
