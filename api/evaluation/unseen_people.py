"""Whom an evaluation shows: checked against what the runs saw, and recorded for erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsh.data_places import data_folder
from fsh.evaluation.options import EvaluationOptions
from fsh.pipeline.dataset.config import ShardConfig
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import CannotBeWritten, NoRoom
from fsh.schemas.places.outputs import require_writable
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.progress import Progress
from fsh.schemas.run_pictures import record_pictures
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import read_clips, read_table
from fsh.schemas.text import shown
from fsh.schemas.trained_on import trained_faces
from fsh.trainer.evaluation.recognition import SeenPeople, seen_people, why_trained_on
from fsh.trainer.evaluation.subjects import Subject
from fsh.trainer.runs import Run

#: What an evaluation of people that its runs saw is labelled as.
TRAINED_ON = "people trained on"
#: The split whose people may have been trained on: it has to be asked for.
_TRAINED_SPLIT = "train"


@dataclass(frozen=True)
class CheckedSubjects:
    """Who is drawn.

    Attributes:
        subjects: those drawn.
        left_out: identity to why: who was trained on.
        trained_on: those of the subjects that were trained on, asked for all the same.
        checked_by: run to what it was checked by.
    """

    subjects: tuple[Subject, ...]
    left_out: dict[str, str]
    trained_on: dict[str, str]
    checked_by: dict[str, str]

    @property
    def people(self) -> str:
        """What the people drawn are, in words: the label of a table."""
        seen, count = len(self.trained_on), len(self.subjects)
        if seen:
            return TRAINED_ON if seen == count else f"{seen} of {count} {TRAINED_ON}"
        sure = all(how == _FULLY for how in self.checked_by.values())
        return "never trained on" if sure else "never trained on, as far as is known"

    def to_json(self) -> dict[str, Any]:
        return {
            "people": self.people,
            "left_out": self.left_out,
            "trained_on": self.trained_on,
            "checked_by": self.checked_by,
        }


_FULLY = "videos, labels, faces"
_BY_VIDEO = "videos only: it was trained before fsh recorded whom a run sees"


def check_subjects(
    subjects: Sequence[Subject],
    runs: Mapping[Path, Run],
    options: EvaluationOptions,
    progress: Progress,
) -> CheckedSubjects:
    """Leave out whom any of the runs saw, unless the training split was asked for.

    Args:
        subjects: everybody in the split or folder; of those left, ``options.identities`` are taken.

    Raises:
        FshError: if nobody is left, or what a run saw cannot be read.
    """
    own, same_data = _data_at_hand(options)
    seen = [
        seen_people(str(path), run.videos, run.datasets, run.trained_on(), same_data)
        for path, run in runs.items()
    ]
    checked_by = {one.name: _FULLY if one.complete else _BY_VIDEO for one in seen}
    for name, how in checked_by.items():
        if how != _FULLY:
            progress.say(f"{shown(name)}: whether people were trained on is checked by {how}")
    asked = options.split == _TRAINED_SPLIT
    kept: list[Subject] = []
    left_out: dict[str, str] = {}
    trained_on: dict[str, str] = {}
    for subject in subjects:
        if options.identities and len(kept) == options.identities:
            break
        why = _why(subject, seen, own)
        if why and not asked:
            left_out[subject.identity] = why
            progress.say(f"{shown(subject.identity)}: left out, {why}")
            continue
        kept.append(subject)
        if why:
            trained_on[subject.identity] = why
    if not kept:
        first, why = next(iter(left_out.items()))
        example = f"{shown(first)}: {why}"
        raise FshError(
            f"nobody to evaluate on: all {len(left_out)} people were trained on ({example})",
            where=options.frames_folder or options.data,
            remedy="give people that the runs never saw, or --split train, which says what it is",
        )
    checked = CheckedSubjects(tuple(kept), left_out, trained_on, checked_by)
    if trained_on:
        progress.say(f"{checked.people}: the table is labelled so, and says nothing of strangers")
    return checked


def _why(subject: Subject, seen: Sequence[SeenPeople], own: Mapping[str, frozenset[str]]) -> str:
    """Which run saw a person, and how that is known; empty if none did."""
    for one in seen:
        if why := why_trained_on(subject.traits, one, own, ShardConfig().same_person):
            return f"{why} ({shown(one.name)})"
    return ""


def _data_at_hand(options: EvaluationOptions) -> tuple[dict[str, frozenset[str]], dict]:
    """Video to the identities in it, and the data set's hash to whom its training split holds."""
    if options.frames_folder:
        return {}, {}
    data = data_folder(options.data)
    own: dict[str, frozenset[str]] = {}
    for clip in read_clips(data.clips):
        if clip.kept and clip.identity:
            own[clip.video_id] = own.get(clip.video_id, frozenset()) | {clip.identity}
    faces = trained_faces(read_table(data.clips, CLIPS))
    return own, {DatasetCard.read(data.card).sha256: faces}


def record_shown(run: RunFolder, place: Path, videos: Sequence[str], progress: Progress) -> None:
    """Let the run know whom the pictures show, if it can be written: for ``fsh forget``.

    Raises:
        FshError: if it cannot be, and the pictures are to lie in it; if its records are damaged.
    """
    try:
        require_writable(run.pictures / "x.json")
        record_pictures(run.root, place, videos)
    except (CannotBeWritten, NoRoom) as error:
        if place.resolve().is_relative_to(run.root.resolve()):
            raise
        progress.say(
            f"{error}; so `fsh forget` will not know whom the pictures in {shown(place)} show, "
            "and cannot remove them"
        )
