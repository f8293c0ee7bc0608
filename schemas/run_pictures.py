"""Which videos the pictures of a training run show, so that an erasure finds them.

:attr:`fsh.schemas.places.run_layout.RunFolder.pictures` holds one JSON file per folder of pictures:
where the folder is (it may lie outside the run) and the ids of all videos that it shows. The file
is written before the first picture is, and is extended as more pictures are added.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import EvaluationFolder, RunFolder, StudyFolder
from fsh.schemas.places.temporary import replacing

PROTOCOLS = ("fsth", "modern")
_REPORTS = ("json", "md", "html")
_EVALUATION, _STUDY = EvaluationFolder(Path()), StudyFolder(Path())
#: Every file that fsh writes into a folder of sample sheets, of an evaluation or of a user study.
_WRITTEN = (
    "step-*.png",
    f"{_EVALUATION.cells}/*/T*/*",
    *(f"{_EVALUATION.strips}/*{protocol}-*" for protocol in PROTOCOLS),
    *(str(_EVALUATION.report(protocol, kind)) for protocol in PROTOCOLS for kind in _REPORTS),
    *(str(_STUDY.page), str(_STUDY.key)),
    # What a kill leaves of them, see :func:`fsh.schemas.places.temporary.replacing`.
    *(f".{stem}-*.tmp" for stem in ("step", *PROTOCOLS, _STUDY.page.stem, _STUDY.key.stem)),
)


@dataclass(frozen=True)
class RunPictures:
    """A folder of pictures that a training run drew.

    Attributes:
        run: the run's folder.
        folder: where the pictures are.
        videos: ids of the videos that they show; None if that was not recorded.
    """

    run: Path
    folder: Path
    videos: frozenset[str] | None

    @property
    def record(self) -> Path:
        """The JSON file in the run that names the folder and the videos."""
        return _record_path(self.run, _folder_name(self.run, self.folder))

    def files(self) -> list[Path]:
        """What fsh wrote into the folder, sorted; no other file in it is fsh's."""
        return sorted(
            path for name in _WRITTEN for path in self.folder.glob(name) if path.is_file()
        )


def record_pictures(run: Path, folder: Path, videos: Iterable[str]) -> None:
    """Record, before they are drawn, that pictures of these videos will be written to a folder.

    Videos recorded earlier are kept as long as the folder holds pictures.
    """
    name, shown = _folder_name(run, folder), frozenset(videos)
    known = next((one for one in recorded_pictures(run) if one.folder == run / name), None)
    if known and known.files():
        shown |= known.videos or frozenset()
    if known is None or shown != known.videos:
        with replacing(_record_path(run, name)) as temporary:
            temporary.write_text(json.dumps({"folder": name, "videos": sorted(shown)}) + "\n")


def recorded_pictures(run: Path) -> Iterator[RunPictures]:
    """Every folder of pictures that is recorded in a run.

    Raises:
        FshError: if a record is damaged.
    """
    for path in sorted(RunFolder(run).pictures.glob("*.json")):
        try:
            known = json.loads(path.read_text())
            yield RunPictures(run, run / known["folder"], frozenset(known["videos"]))
        except (ValueError, KeyError, TypeError) as error:
            remedy = "move the run's pictures away, then this file"
            raise FshError("cannot be read", where=path, remedy=remedy) from error


def _record_path(run: Path, name: str) -> Path:
    return RunFolder(run).pictures / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.json"


def _folder_name(run: Path, folder: Path) -> str:
    """The folder's path, relative to the run if it lies in it, because runs are moved."""
    own, place = run.resolve(), folder.resolve()
    return str(place.relative_to(own) if place.is_relative_to(own) else place)
