"""The people that a live session can show: loaded, allowed, marked, and ready to be drawn."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from fsh import marking
from fsh.defaults import AnyPath
from fsh.marking import Marking
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.inputs.input_name import input_name
from fsh.pipeline.inputs.live_face import FaceFollower
from fsh.pipeline.provenance.signing import Signer
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.text import one_line
from fsh.threads import set_thread_count
from fsh.trainer.person.live_motion import FaceTransfer
from fsh.trainer.person.mesh_transfer import MeshTransfer
from fsh.trainer.person.motion_transfer import MotionTransfer
from fsh.trainer.person.person import Person
from fsh.trainer.person.photo_references import faces_of

#: Keys of the page: people beyond them cannot be chosen.
MOST_PEOPLE = 9


@dataclass(frozen=True)
class CastMember:
    """One person, ready to be drawn.

    Attributes:
        folder: the person's.
        consent: whose it is and who stated it, or that it is not stated.
        lock: held while the person is drawn: networks are not shared by two drawings.
    """

    folder: Path
    person: Person
    marks: Marking
    consent: str
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @property
    def name(self) -> str:
        return one_line(input_name(self.folder) or self.person.name)

    @property
    def has_mesh(self) -> bool:
        return self.person.mesh is not None

    def transfer(self) -> FaceTransfer:
        """What puts a driver's face on this person; of one session."""
        mesh = self.person.mesh
        return MotionTransfer(self.person.landmarks) if mesh is None else MeshTransfer(mesh)

    def draw(self, points: np.ndarray, before: Tensor | None) -> tuple[np.ndarray, Tensor | None]:
        """One picture, unmarked.

        Args:
            points: (478, 3) or (68, 2), crop pixels.
            before: the photos that the frame before was copied from; None: there was none.

        Returns:
            uint8 (H, H, 3) RGB, and the photos that it was copied from.
        """
        face = faces_of(points[None])
        with self.lock:
            chosen = self.person.choose(face, before)
            picture = self.person.draw(face, batch=1, chosen=chosen)[0]
        return picture, None if chosen is None else chosen[0]

    def mark(self, picture: np.ndarray) -> np.ndarray:
        """A marked copy, uint8 (H, W, 3), enlarged to 256 px if it is smaller."""
        with self.lock:
            (marked,) = self.marks.frames([picture])
        return marked

    def require_consent(self) -> None:
        """Check that the consent in the card allows it today; raises FshError if not."""
        marking.require_consent(self.folder, self.person.about, "animate")


class Cast:
    """All people of a live session; it may grow, and never shrinks."""

    def __init__(self, spec: FaceSpec, signer: Signer, watermark_key: AnyPath | None) -> None:
        self.spec, self._signer, self._key = spec, signer, watermark_key
        self._members: tuple[CastMember, ...] = ()

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, number: int) -> CastMember:
        return self._members[number]

    @property
    def members(self) -> Sequence[CastMember]:
        return self._members

    @classmethod
    def of(
        cls, folders: Sequence[Path], signing_key: AnyPath | None, watermark_key: AnyPath | None
    ) -> Cast:
        """Load people and draw each once, so that the first frame is as quick as any other.

        Raises:
            FshError: if one is no person, does not allow it, or is cropped in another way than the
                first; if they are more than :data:`MOST_PEOPLE`.
        """
        if len(folders) > MOST_PEOPLE:
            raise FshError(
                f"{len(folders)} people, and there are keys for {MOST_PEOPLE}",
                remedy="name fewer with --person",
            )
        loaded = {folder: Person.load(folder) for folder in folders}
        for folder, person in loaded.items():
            marking.require_consent(folder, person.about, "animate")
        signer = marking.signer_of(signing_key)
        marking.key_of(watermark_key)
        cast = cls(loaded[folders[0]].spec, signer, watermark_key)
        # What every session will need: what is missing is told now, and the first frame is quick.
        FaceFollower(load_backend(cast.spec.backend))
        set_thread_count(max(person.network.size for person in loaded.values()))
        for folder, person in loaded.items():
            cast.add(folder, person)
        return cast

    def add(self, folder: Path, person: Person | None = None) -> CastMember:
        """Let a person join; raises as :meth:`of` does."""
        if len(self) >= MOST_PEOPLE:
            raise FshError(f"there are keys for {MOST_PEOPLE} people", where=folder)
        person = person or Person.load(folder)
        self.spec.require(person.spec, mine="the people here", theirs=str(folder))
        consent = marking.require_consent(folder, person.about, "animate")
        marks = marking.marking_of(folder, person.about, self._signer, self._key)
        member = CastMember(folder, person, marks, consent)
        shape = person.landmarks[0] if person.mesh is None else person.mesh[0]
        for _ in range(2):
            picture, _chosen = member.draw(shape, None)
            member.mark(picture)
        self._members = (*self._members, member)
        return member
