"""Which photos a person is made of: other photos do not take the person's place unasked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsh.pipeline.inputs.input_name import input_name
from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import PERSON_CARD, PersonFolder
from fsh.schemas.progress import Progress
from fsh.schemas.text import shown
from fsh.trainer.checkpoint import read_state
from fsh.trainer.person.person import PERSON_FORMAT

#: Bytes of a person's name at most: temporary files beside the folder have longer ones.
_LONGEST_NAME = 200


@dataclass(frozen=True)
class PersonPhotos:
    """Photos by their contents, and whose face in them is meant.

    Attributes:
        sha256: hex, one per file, sorted.
        face: the number asked for; None: the person who recurs.
    """

    sha256: tuple[str, ...]
    face: int | None

    def entry(self) -> dict[str, Any]:
        """As a person's card has it."""
        return {"photo_sha256": list(self.sha256)} | (
            {} if self.face is None else {"face": self.face}
        )

    def difference(self, about: Mapping[str, Any]) -> str:
        """What of a person that is there is another's; empty if this would be an update of it.

        Args:
            about: of the person's card, with the photos' hashes in it.
        """
        before, face = set(about["photo_sha256"]), about.get("face")
        if not before <= set(self.sha256):
            return "a person made of other photos is here already"
        if face != self.face:
            which = "the face that recurs" if face is None else f"face {face}"
            return f"the person here was made of {which} in these photos"
        return ""


def default_folder(photos: Path, people: Path) -> PersonFolder:
    """Where a person goes whom nobody named.

    Raises:
        FshError: if the photos' folder has a name that a person cannot have.
    """
    name = input_name(photos)
    problem = ""
    if not name or name.startswith("."):
        problem = "nobody could see a person of this name" if name else "it has no name"
    elif len(os.fsencode(name)) > _LONGEST_NAME:
        problem = "the name is too long for a person"
    if problem:
        raise FshError(problem, where=photos, remedy="name the person: --person people/NAME")
    return PersonFolder(people / name)


def require_same_photos(
    folder: PersonFolder, photos: PersonPhotos, *, named: bool, progress: Progress
) -> None:
    """Do nothing if nobody is there yet, or a person made of the same photos and no others.

    Args:
        named: whether the user named the folder: a person of an older version, whose photos
            nobody knows, is then made anew.

    Raises:
        FshError: if there is a person made of others, or of another face.
    """
    if not folder.card.is_file():
        return
    remedy = (
        f"name this one: --person {shown(folder.root.parent / 'OTHER')}; "
        "or add --replace to lose the one that is there"
    )
    about = read_state(folder.root, PERSON_FORMAT, PERSON_CARD)["about"]
    if "photo_sha256" not in about:
        if not named:
            what = "a person is here already, and of which photos is not written down"
            raise FshError(what, where=folder.root, remedy=remedy)
        progress.say(f"{shown(folder.root)}: of which photos it was is not written down; made anew")
    elif different := photos.difference(about):
        raise FshError(different, where=folder.root, remedy=remedy)
