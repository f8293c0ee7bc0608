"""A person made out of photos that the page took, beside the live session, in a process of its own.

What the photos' training needs is then given back as a whole, and a page that goes away stops it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fsh.schemas.consent import Consent, parse_consent
from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import PersonFolder
from fsh.schemas.places.temporary import scratch_folder
from fsh.telepresence.session import camera_picture

#: Photos that the page takes of one person at most.
MOST_PHOTOS = 16
_LONGEST_NAME = 60


@dataclass(frozen=True)
class PersonMaker:
    """Makes people with one training run.

    Attributes:
        run: the training run.
        people: where people live.
        options: further options of ``fsh personalize``: keys.
    """

    run: Path
    people: Path
    options: tuple[str, ...] = ()

    def folder(self, name: str) -> Path:
        """Where a new person goes.

        Raises:
            FshError: if the name is none of a folder, or taken.
        """
        plain = name.strip()
        usable = plain and plain.isprintable() and not plain.startswith((".", "-"))
        if not usable or any(c in plain for c in '/\\:*?"<>|') or len(plain) > _LONGEST_NAME:
            raise FshError(f"no name for a folder: {name[:_LONGEST_NAME]!r}")
        folder = self.people / plain
        if folder.exists() or PersonFolder(folder).card.exists():
            raise FshError("somebody of this name is here already", where=folder)
        return folder

    async def make(self, name: str, photos: list[bytes], consent: Consent) -> Path:
        """The folder of a new person; the photos are not kept.

        Raises:
            FshError: if it cannot be made, with the reason that ``fsh personalize`` gives.
        """
        folder = self.folder(name)
        if not photos:
            raise FshError("no photos were taken")
        with scratch_folder("photos") as place:
            taken = place / "photos"
            taken.mkdir()
            for number, photo in enumerate(photos):
                (taken / f"{number:02d}.jpg").write_bytes(photo)
            statement = place / "consent.json"
            statement.write_text(json.dumps(consent.to_json()))
            command = [sys.executable, "-m", "fsh.cli", "personalize", "--photos", str(taken)]
            command += ["--person", str(folder), "--run", str(self.run), "--steps", "0"]
            command += ["--consent", str(statement), "--json", "--quiet", *self.options]
            await _run(command)
        return folder


def checked_photo(content: bytes) -> bytes:
    """A photo as it came; raises FshError if it is no JPEG."""
    camera_picture(content)
    return content


def consent_of(about: Mapping[str, Any]) -> Consent:
    """The statement that the page's form makes: who, by whom, until when.

    Raises:
        FshError: if it is none, or does not allow to make and move the person today.
    """
    fields = {name: about.get(name) for name in ("who", "by", "until")}
    given = {"given": date.today().isoformat(), "scope": ["personalize", "animate"]}
    consent = parse_consent({**fields, **given}, where="consent")
    consent.require("personalize", date.today())
    return consent


async def _run(command: list[str]) -> None:
    """Run a command of fsh's; raises FshError with its own words if it fails."""
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        _, told = await child.communicate()
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode:
        lines = told.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise FshError(f"the person was not made: {lines[-1].removeprefix('fsh: ')}")
