"""What the functions of ``fsh`` take, and what they mean where the user names nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from fsh.schemas import machine
from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import PersonFolder, RunFolder
from fsh.schemas.text import shown

AnyPath = str | Path
#: People named in one message at most.
_NAMED = 8
#: Called once with the settings in force, defaults filled in, before the work begins.
Announce = Callable[[Mapping[str, object]], None]


def as_paths(value: AnyPath | Sequence[AnyPath]) -> list[Path]:
    """One path or several, as a list."""
    return [Path(value)] if isinstance(value, str | Path) else [Path(one) for one in value]


def as_texts(value: AnyPath | Sequence[AnyPath]) -> list[str]:
    """One path, URL or name, or several, as texts."""
    return [str(value)] if isinstance(value, str | Path) else [str(one) for one in value]


def worker_count(workers: int) -> int:
    """The number of parallel workers that ``workers`` means; 0: one per core that has memory."""
    return workers or machine.workers()


def newest_run(runs: AnyPath = "runs") -> Path:
    """The training run written last, alternatives to fsh's own networks left aside.

    Raises:
        FshError: if there is none.
    """
    found = {
        run: RunFolder(run).metrics
        for run in Path(runs).glob("*")
        if RunFolder(run).metrics.is_file() and _is_of_fsh(run)
    }
    if not found:
        raise FshError("no training run here", where=runs, remedy="run `fsh train` first")
    return _newest(found)


def person_folder(person: AnyPath, people: AnyPath = "people") -> Path:
    """The folder that is meant by a person's path or name: ``PEOPLE/NAME`` where that is a person.

    A path that leads to a person's folder is taken as it is.

    Raises:
        FshError: if there is no such person, naming those that there are.
    """
    path = Path(person)
    named = Path(people) / path
    is_name = not path.is_absolute() and len(path.parts) == 1
    for folder in (path, named) if is_name else (path,):
        if PersonFolder(folder).card.is_file():
            return folder
    if is_name and not path.exists() and not named.exists():
        known = sorted(one.name for one in Path(people).glob("*") if _is_person(one))
        there = f"{people} has {', '.join(map(shown, known[:_NAMED]))}" if known else ""
        raise FshError(
            "no such person",
            where=named,
            remedy=there or "run `fsh personalize` first, or give the person's folder",
        )
    return named if is_name and named.exists() else path


def _is_person(folder: Path) -> bool:
    return not folder.name.startswith(".") and PersonFolder(folder).card.is_file()


def newest_person(people: AnyPath = "people") -> Path:
    """The folder of the person made last.

    Raises:
        FshError: if there is none.
    """
    folders: Iterable[Path] = Path(people).glob("*")
    found = {one: PersonFolder(one).card for one in folders if _is_person(one)}
    if not found:
        raise FshError("no person here", where=people, remedy="run `fsh personalize` first")
    return _newest(found)


def _newest(found: Mapping[Path, Path]) -> Path:
    """The folder whose file was written last."""
    return max(found, key=lambda folder: found[folder].stat().st_mtime)


def _is_of_fsh(run: Path) -> bool:
    try:
        config = json.loads(RunFolder(run).config.read_text())
    except (OSError, ValueError):  # whoever opens the run says what is wrong with it
        return True
    return config.get("method", "fsth") == "fsth"
