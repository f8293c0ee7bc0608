"""What is derived from the erased outside the data folder: training runs, pictures, and persons.

Runs and persons are written by the trainer; here their JSON files are read as they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from glob import escape
from pathlib import Path
from typing import Any

from fsh.pipeline.erasure.search import Remnant, SearchTerms
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.places.folder_kinds import PERSON
from fsh.schemas.places.layout import LOCK_SUFFIX
from fsh.schemas.places.locks import owning
from fsh.schemas.places.run_layout import AVERAGE, CHECKPOINT_STATE, PersonFolder, RunFolder
from fsh.schemas.run_pictures import RunPictures, recorded_pictures
from fsh.schemas.text import shown
from fsh.schemas.trained_on import TrainedFace, TrainedOn, leftovers


def picture_folders(runs: Path) -> Iterator[RunPictures]:
    """Every folder of pictures that a run has recorded, or that lies in a run without a record."""
    for run in _folders_in(runs):
        recorded = list(recorded_pictures(run))
        yield from recorded
        known = {folder.folder for folder in recorded}
        for path in (RunFolder(run).evaluation, RunFolder(run).samples):
            unrecorded = RunPictures(run, path, None)
            if path not in known and unrecorded.files():
                yield unrecorded


def pictures_of_erased(runs: Path, erased: Tombstones) -> list[RunPictures]:
    """Folders of pictures that show anybody erased, or may, because it is not recorded whom."""
    return [
        pictures
        for pictures in picture_folders(runs)
        if pictures.videos is None or any(erased.covers(video=video) for video in pictures.videos)
    ]


def can_be_drawn_again(pictures: RunPictures) -> bool:
    """Whether one command draws the pictures again, or there are none: only these are removed."""
    samples = RunFolder(pictures.run).samples.name
    return pictures.videos is not None and (pictures.folder.name != samples or not pictures.files())


def remove_pictures(pictures: RunPictures) -> None:
    """Remove what fsh wrote into a folder, the folders this empties, and, last, the record."""
    files = pictures.files()
    for path in files:
        path.unlink()
    inside = {parent for path in files for parent in path.relative_to(pictures.folder).parents}
    for emptied in sorted((pictures.folder / name for name in inside), reverse=True):
        if not any(emptied.iterdir()):
            emptied.rmdir()
    pictures.record.unlink(missing_ok=True)


def find_remnants_in_runs(runs: Path, targets: Sequence[str], erased: Tombstones) -> list[Remnant]:
    """Every folder of pictures that shows a target or anybody ever erased, or may."""
    terms, found = SearchTerms.of_targets(targets, erased), []
    for pictures in picture_folders(runs):
        files = pictures.files()
        if pictures.videos is None:
            found.append(
                Remnant(str(pictures.folder), "whom its pictures show is not written down")
            )
        elif files:
            videos = terms.in_text(" ".join(pictures.videos))
            found += [Remnant(str(pictures.folder), f"shows: {name}") for name in videos]
        for path in files:
            # Pages repeat these, between pictures in which any short word may occur.
            if path.suffix in (".json", ".md"):
                named = terms.in_text(path.read_text(errors="replace"))
                found += [Remnant(str(path), f"text: {name}") for name in named]
    return found


@dataclass(frozen=True)
class AffectedFaces:
    """Face embeddings of the erased that a run keeps to recognise whom it was trained on.

    Attributes:
        run: its folder.
        faces: how many rows of its ``trained_on.parquet``; None: the file is damaged and goes
            whole, because any of them may be in it.
    """

    run: str
    faces: int | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def faces_of_erased(runs: Path, erased: Tombstones) -> list[AffectedFaces]:
    """The runs whose ``trained_on.parquet`` holds anybody erased, or may."""
    found = []
    for run in _folders_in(runs):
        faces, leftover = _trained_faces(run), list(leftovers(RunFolder(run).trained_on))
        count = None if faces is None else sum(_is_erased_face(face, erased) for face in faces)
        if count or count is None or leftover:
            found.append(AffectedFaces(str(run), count))
    return found


def remove_faces(run: Path, erased: Tombstones) -> None:
    """Take the erased out of a run's ``trained_on.parquet``; a damaged file is removed."""
    path = RunFolder(run).trained_on
    for leftover in leftovers(path):
        leftover.unlink()
    try:
        known = TrainedOn.read(path)
    except FshError:
        path.unlink()
        return
    if known and any(_is_erased_face(face, erased) for face in known.faces):
        known.without(lambda face: _is_erased_face(face, erased)).write(path)


def find_faces_in_runs(runs: Path, targets: Sequence[str], erased: Tombstones) -> list[Remnant]:
    """Every run whose ``trained_on.parquet`` holds a target or anybody ever erased, or may."""
    terms, found = SearchTerms.of_targets(targets, erased), []
    for run in _folders_in(runs):
        path = RunFolder(run).trained_on
        found += [Remnant(str(leftover), "half-written") for leftover in leftovers(path)]
        faces = _trained_faces(run)
        if faces is None:
            found.append(Remnant(str(path), "cannot be read, so not searched"))
        shown = set[str]()
        for face in faces or ():
            for column, value in (("video_id", face.video_id), ("identity", face.identity)):
                shown.update(f"column {column}: {n}" for n in terms.in_value(column, value))
        found += [Remnant(str(path), what) for what in sorted(shown)]
    return found


def _trained_faces(run: Path) -> tuple[TrainedFace, ...] | None:
    """Whom a run was trained on; None if that cannot be read."""
    try:
        known = TrainedOn.read(RunFolder(run).trained_on)
    except FshError:
        return None
    return known.faces if known else ()


def _is_erased_face(face: TrainedFace, erased: Tombstones) -> bool:
    return erased.covers(video=face.video_id, identity=face.identity)


def person_at(target: str) -> Path | None:
    """The person's folder that a target is a path to; a bare name is no path.

    Raises:
        FshError: if it is a link.
    """
    folder = urls.user_path(target)
    kind = str(_read_json(PersonFolder(folder).card).get("format", ""))
    if "/" not in target or not kind.startswith("fsh-person-"):
        return None
    if folder.is_symlink():
        raise FshError("a link to a person", where=folder, remedy=f"name {shown(folder.resolve())}")
    return folder


def others_in_person(folder: Path) -> list[str]:
    """Relative paths of what fsh did not write into a person's folder; these stay."""
    return list(PERSON.foreign(folder, _person_files(folder)))


def remove_person(folder: Path) -> None:
    """Remove what fsh wrote into a person's folder, and the folder if nothing else is in it.

    The card goes last: a kill before leaves a person to name again.

    Raises:
        FshError: if a film is being written there.
    """
    others, card = set(others_in_person(folder)), PersonFolder(folder).card
    with ExitStack() as owned:
        for lock in folder.rglob(f"*{LOCK_SUFFIX}"):
            owned.enter_context(owning(lock, "forget", where=folder, remedy="wait for it"))
        for place, folders, names in os.walk(folder):
            links = [name for name in folders if Path(place, name).is_symlink()]
            for path in (Path(place, name) for name in (*names, *links)):
                is_others = path.relative_to(folder).as_posix() in others
                if path != card and not is_others and not path.name.endswith(LOCK_SUFFIX):
                    path.unlink()
        card.unlink()
    for place, _, _ in os.walk(folder, topdown=False):
        is_others = Path(place).relative_to(folder).as_posix() in others
        if not is_others and not any(Path(place).iterdir()):
            Path(place).rmdir()


def _person_files(folder: Path) -> tuple[str, ...]:
    """Patterns of what is a person's own: also files that an older fsh named in the card."""
    listed = _read_json(PersonFolder(folder).card).get("files", {})
    names = [name for name in listed if "/" not in name] if isinstance(listed, dict) else []
    return (*PERSON.made, *map(escape, names))


@dataclass(frozen=True)
class AffectedRun:
    """A training run that saw erased videos.

    Attributes:
        run: its folder.
        videos: how many erased videos it saw.
        checkpoints: names of the checkpoints that saw them.
        people: folders of the persons that were made of the run.
    """

    run: str
    videos: int
    checkpoints: tuple[str, ...]
    people: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def runs_trained_on(runs: Path, people: Path, erased: Tombstones) -> list[AffectedRun]:
    """The training runs with checkpoints that saw erased videos, and the persons made of them."""
    found = []
    for run in _folders_in(runs):
        videos: set[str] = set()
        checkpoints: list[str] = []
        models: set[Any] = set()
        for state in sorted(RunFolder(run).checkpoints.glob(f"*/{CHECKPOINT_STATE}")):
            known = _read_json(state)
            seen = {video for video in known.get("videos", []) if erased.covers(video=video)}
            if seen:
                videos |= seen
                checkpoints.append(state.parent.name)
                models.add(known.get("files", {}).get(AVERAGE))
        if checkpoints:
            made = [
                str(folder)
                for folder in _folders_in(people)
                if _is_made_of(_read_json(PersonFolder(folder).card), run.name, models)
            ]
            found.append(AffectedRun(str(run), len(videos), tuple(checkpoints), tuple(made)))
    return found


def _is_made_of(card: dict[str, Any], run: str, models: set[Any]) -> bool:
    about = card.get("about", {})
    return about.get("made_from", {}).get("model") in models or about.get("run") == run


def _folders_in(parent: Path) -> list[Path]:
    found = (path for path in parent.glob("*") if path.is_dir())
    return sorted(path for path in found if not path.name.startswith("."))


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty if the file is missing, damaged or something else."""
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
