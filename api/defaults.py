"""What the functions of ``fsh`` take, and what they mean where the user names nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from fsh.schemas import machine
from fsh.schemas.errors import FshError
from fsh.schemas.layout import PersonFolder, RunFolder

AnyPath = str | Path
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


def newest_person(people: AnyPath = "people") -> Path:
    """The folder of the person made last.

    Raises:
        FshError: if there is none.
    """
    folders: Iterable[Path] = Path(people).glob("*")
    named = (one for one in folders if not one.name.startswith("."))  # others are unfinished
    found = {one: PersonFolder(one).card for one in named if PersonFolder(one).card.is_file()}
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
