"""A consent statement: who agreed to what, said by whom, until when.

A short file, TOML or JSON::

    who = "Ada Example"              # whose face it is
    by = "Ada Example"               # who states it: the person, a guardian, an estate
    scope = ["personalize", "animate"]
    until = 2027-12-31               # the last day; "revoked" takes everything back
    given = 2026-11-22               # optional: the first day
    note = "for the family archive"  # optional

fsh records the statement and enforces it; it cannot verify that the statement is true.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from fsh.schemas.errors import FshError

#: Recorded in place of a statement where none was given.
NOT_STATED = "not stated"
REVOKED = "revoked"
#: What a statement can allow. fsh enforces the first two; the others are written into every film
#: for whoever receives it.
SCOPES = {
    "personalize": "make a model of this face from photos",
    "animate": "render films with it",
    "publish": "show them to the public",
    "commercial": "use them for money",
    "any": "all of these",
}
_REMEDY = "see docs/responsible-use.md for the form"
_FIELDS = {"who", "by", "scope", "until", "given", "note"}
_LONGEST = 500  # characters of a text: it is written into every film


@dataclass(frozen=True, slots=True)
class Consent:
    """One statement.

    Attributes:
        who: whose face it is.
        by: who states it.
        scope: words of :data:`SCOPES`, sorted.
        until: the last day it holds; None: revoked.
        given: the first day it holds, or None.
        note: anything else.
    """

    who: str
    by: str
    scope: tuple[str, ...]
    until: date | None
    given: date | None = None
    note: str = ""

    def require(self, act: str, today: date) -> None:
        """Do nothing if ``act`` (a word of :data:`SCOPES`) is allowed on the day ``today``.

        Raises:
            FshError: if it is not allowed; the message says why.
        """
        whose = f"consent of {self.who}"
        ask = f"ask {self.by} for a new statement"
        if self.until is None:
            raise FshError("it was revoked", where=whose, remedy=ask)
        if today > self.until:
            raise FshError(f"it ended on {self.until}, today is {today}", where=whose, remedy=ask)
        if self.given and today < self.given:
            raise FshError(f"it begins on {self.given}, today is {today}", where=whose)
        if act not in self.scope and "any" not in self.scope:
            allowed = ", ".join(self.scope)
            raise FshError(f"its scope is {allowed}, not {act}", where=whose, remedy=ask)

    def to_json(self) -> dict[str, Any]:
        """The statement as it is written into a person's card and into manifests."""
        data: dict[str, Any] = {"who": self.who, "by": self.by, "scope": list(self.scope)}
        data["until"] = self.until.isoformat() if self.until else REVOKED
        if self.given:
            data["given"] = self.given.isoformat()
        if self.note:
            data["note"] = self.note
        return data


def read_consent(path: Path) -> Consent:
    """Read a statement from a TOML or JSON file, whatever its name.

    Raises:
        FshError: if there is no such file, or it is no statement; all problems at once.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise FshError(f"cannot read the consent statement ({reason})", where=path) from error
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise FshError(f"neither TOML nor JSON ({error})", where=path, remedy=_REMEDY) from error
    return parse_consent(data, where=path)


def parse_consent(data: Mapping[str, Any], *, where: object = "consent") -> Consent:
    """A statement from its parsed form; the inverse of :meth:`Consent.to_json`.

    Raises:
        FshError: if it is no statement; all problems at once.
    """
    problems: list[str] = []

    def text(name: str, needed: bool = True) -> str:
        value = data.get(name, "")
        if not isinstance(value, str) or (needed and not value.strip()):
            problems.append(f"{name} must be a text")
            return ""
        if len(value) > _LONGEST:
            problems.append(f"{name} is longer than {_LONGEST} characters")
        return " ".join(value.split())

    def day(name: str) -> date | None:
        value = data.get(name)
        if isinstance(value, str):
            with suppress(ValueError):
                value = date.fromisoformat(value.strip())
        if isinstance(value, datetime):
            value = value.date()
        if isinstance(value, date):
            return value
        problems.append(f"{name} must be a day like 2027-12-31, not {data.get(name)!r}")
        return None

    if unknown := sorted(map(str, data.keys() - _FIELDS)):
        problems.append(f"unknown {', '.join(unknown)} (known: {', '.join(sorted(_FIELDS))})")
    scope = data.get("scope")
    scope = [scope] if isinstance(scope, str) else scope
    words = [str(word).strip().lower() for word in scope] if isinstance(scope, list) else []
    if not words or (wrong := [word for word in words if word not in SCOPES]):
        shown = ", ".join(wrong) if words else "nothing"
        problems.append(f"scope must be some of {', '.join(SCOPES)}, not {shown}")
    revoked = str(data.get("until", "")).strip().lower() == REVOKED
    statement = Consent(
        who=text("who"),
        by=text("by"),
        scope=tuple(sorted(set(words))),
        until=None if revoked else day("until"),
        given=day("given") if "given" in data else None,
        note=text("note", needed=False),
    )
    if problems:
        raise FshError("; ".join(problems), where=where, remedy=_REMEDY)
    return statement


def recorded_consent(value: object, *, where: object = "consent") -> Consent | None:
    """The statement recorded in a person's card: None for :data:`NOT_STATED` or no entry.

    Args:
        value: the card's entry.
        where: the card or folder, for messages.

    Raises:
        FshError: if the entry is anything else.
    """
    if value is None or value == NOT_STATED:
        return None
    if not isinstance(value, Mapping):
        raise FshError(f"not a consent statement: {value!r}", where=where, remedy=_REMEDY)
    return parse_consent(value, where=where)
