"""Taking videos and people out of the data, and out of what was drawn of them, for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsh.data_places import data_folder, remove_erased_copies
from fsh.defaults import AnyPath, as_texts
from fsh.pipeline.erasure.derived import (
    AffectedFaces,
    AffectedRun,
    can_be_drawn_again,
    faces_of_erased,
    find_faces_in_runs,
    find_remnants_in_runs,
    others_in_person,
    person_at,
    pictures_of_erased,
    remove_faces,
    remove_person,
    remove_pictures,
    runs_trained_on,
)
from fsh.pipeline.erasure.erase import erase
from fsh.pipeline.erasure.plan import ErasurePlan, plan_erasure
from fsh.pipeline.erasure.search import Remnant, find_remnants
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.outputs import owned_output
from fsh.schemas.places.stores import is_remote
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.run_pictures import RunPictures


@dataclass(frozen=True)
class AffectedPictures:
    """A folder of pictures that show somebody to be forgotten, and whether it will be removed."""

    pictures: RunPictures
    removed: bool

    def to_json(self) -> dict[str, Any]:
        shown = self.pictures
        return {"run": str(shown.run), "folder": str(shown.folder), "goes": self.removed}


@dataclass(frozen=True)
class ForgetPlan:
    """What :func:`forget` will take, before anything is written.

    Attributes:
        runs, people: where training runs and people live.
        data: what is meant in the data folder; None: only folders of people were named.
        pictures: of evaluations, studies and samples that show them.
        faces: runs that keep face embeddings of them; these are removed.
        persons: folders of people.
        staying: paths of what fsh did not write into these folders, and leaves there.
        tombstones: those there will be.
    """

    folder: DataFolder
    runs: Path
    people: Path
    data: ErasurePlan | None
    pictures: tuple[AffectedPictures, ...]
    faces: tuple[AffectedFaces, ...]
    persons: tuple[Path, ...]
    staying: tuple[Path, ...]
    tombstones: Tombstones

    @property
    def is_repeated(self) -> bool:
        """Whether all of it was erased before, so that nothing more can be lost."""
        return self.data is not None and self.data.again and not self.persons


@dataclass(frozen=True)
class ForgetReport:
    """What :func:`forget` did, or would do.

    Attributes:
        done: False if it was only planned.
        runs: training runs whose networks saw the erased, see
            :func:`fsh.pipeline.erasure.derived.runs_trained_on`.
        damaged: what was damaged in the data folder, and what became of it; a line each.
    """

    plan: ForgetPlan
    done: bool
    runs: list[AffectedRun]
    damaged: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            **(self.plan.data.to_json() if self.plan.data else {}),
            "done": self.done,
            "persons": list(map(str, self.plan.persons)),
            "staying": list(map(str, self.plan.staying)),
            "pictures": [folder.to_json() for folder in self.plan.pictures],
            "runs": [run.to_json() for run in self.runs],
            "faces": [faces.to_json() for faces in self.plan.faces],
            "damaged": list(self.damaged),
        }


def forget(
    targets: AnyPath | Sequence[AnyPath],
    data: AnyPath = "data",
    *,
    runs: AnyPath = "runs",
    people: AnyPath = "people",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ForgetReport:
    """Remove videos or people from tables, shards and files, and never take them in again.

    Nobody is asked. Killed at any moment, the same call finishes.

    Args:
        targets: video ids, identities, URLs or paths, or folders of people; one or several.
        data: the data folder.
        runs, people: where training runs and people live.
        dry_run: only say what would be removed.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: if a target is nothing that is or was here, or the data folder is in use.
    """
    plan = plan_forget(targets, data, runs=runs, people=people)
    return forget_report(plan, done=False) if dry_run else carry_out(plan, progress)


def plan_forget(
    targets: AnyPath | Sequence[AnyPath],
    data: AnyPath = "data",
    *,
    runs: AnyPath = "runs",
    people: AnyPath = "people",
) -> ForgetPlan:
    """What :func:`forget` would do; nothing is written.

    Raises:
        FshError: as :func:`forget` does.
    """
    folder, named = data_folder(data), as_texts(targets)
    if not named:
        raise FshError("nothing to forget", remedy="name what to forget")
    persons = sorted({place for place in map(person_at, named) if place})
    others = [target for target in named if person_at(target) is None]
    meant = plan_erasure(folder, others) if others else None
    erased = Tombstones.read(folder)
    for video in meant.videos if meant else ():
        erased = erased.adding(video=video)
    for person in meant.people if meant else ():
        erased = erased.adding(identity=person)
    pictures = pictures_of_erased(Path(runs), erased) if meant else []
    faces = faces_of_erased(Path(runs), erased) if meant else []
    return ForgetPlan(
        folder=folder,
        runs=Path(runs),
        people=Path(people),
        data=meant,
        pictures=tuple(AffectedPictures(shown, can_be_drawn_again(shown)) for shown in pictures),
        faces=tuple(faces),
        persons=tuple(persons),
        staying=tuple(one / name for one in persons for name in others_in_person(one)),
        tombstones=erased,
    )


def carry_out(plan: ForgetPlan, progress: Progress | None = None) -> ForgetReport:
    """Do what was planned.

    Raises:
        FshError: if the data folder, or one that goes, is in use.
    """
    bar = progress or Silent()
    bar.start("forgetting", None, "step")
    damaged: list[str] = []

    def say(line: str) -> None:
        damaged.append(line)
        bar.say(line)

    if plan.data:
        erase(plan.folder, plan.data, step=lambda what: bar.advance(note=what), say=say)
        remove_erased_copies(plan.folder)
        for faces in plan.faces:
            remove_faces(Path(faces.run), Tombstones.read(plan.folder))
    for folder in plan.pictures:
        if folder.removed:
            with owned_output(folder.pictures.folder, "forget"):
                remove_pictures(folder.pictures)
    for person in plan.persons:
        with owned_output(person, "forget"):
            remove_person(person)
    bar.stop()
    return forget_report(plan, done=True, damaged=damaged)


def forget_report(plan: ForgetPlan, *, done: bool, damaged: Sequence[str] = ()) -> ForgetReport:
    """The plan, and the training runs that saw what is forgotten.

    Args:
        damaged: see :class:`ForgetReport`.
    """
    erased = Tombstones.read(plan.folder) if done else plan.tombstones
    runs = runs_trained_on(plan.runs, plan.people, erased) if plan.data else []
    return ForgetReport(plan, done, runs, tuple(damaged))


@dataclass(frozen=True)
class ForgetCheck:
    """What :func:`check_forgotten` found: places that still hold something of the targets."""

    targets: tuple[str, ...]
    found: tuple[Remnant, ...]

    @property
    def absent(self) -> bool:
        return not self.found

    def to_json(self) -> dict[str, Any]:
        found = [place._asdict() for place in self.found]
        return {"targets": list(self.targets), "absent": self.absent, "found": found}


def check_forgotten(
    targets: AnyPath | Sequence[AnyPath] = (),
    data: AnyPath = "data",
    *,
    runs: AnyPath = "runs",
) -> ForgetCheck:
    """Search data and runs' pictures for the targets and everything that was ever erased here.

    Raises:
        FshError: if there is no data folder.
    """
    folder, named = data_folder(data), as_texts(targets)
    found = [Remnant(str(person), "a person") for person in map(person_at, named) if person]
    if is_remote(folder.root) or folder.root.is_dir() or not found:
        found += find_remnants(folder, named)
        erased = Tombstones.read(folder)
        found += find_remnants_in_runs(Path(runs), named, erased)
        found += find_faces_in_runs(Path(runs), named, erased)
    return ForgetCheck(tuple(named), tuple(found))
