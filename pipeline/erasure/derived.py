"""What lies outside the data folder of the erased: runs that saw them, pictures of them, persons.

Runs and persons are the trainer's; what is read of them here is plain JSON.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fsh.pipeline.erasure.search import Found, Wanted
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.run_pictures import EVALUATION, SAMPLES, Shown, read

#: What makes a folder a person's.
CARD = "person.json"


def pictures(runs: Path) -> Iterator[Shown]:
    """Every folder of pictures that runs have written down, or that lies in them untold."""
    for run in sorted(path for path in runs.glob("*") if path.is_dir()):
        known = list(read(run))
        yield from known
        told = {shown.folder for shown in known}
        untold = (Shown(run, run / name, None) for name in (EVALUATION, SAMPLES))
        yield from (shown for shown in untold if shown.folder not in told and shown.files())


def showing(runs: Path, erased: Tombstones) -> list[Shown]:
    """Those that show anybody erased, or may: nobody wrote down whom."""
    return [
        shown
        for shown in pictures(runs)
        if shown.videos is None or any(erased.covers(video=video) for video in shown.videos)
    ]


def is_cache(shown: Shown) -> bool:
    """Whether one command draws them again, or there are none; other pictures are only told of."""
    return shown.videos is not None and (shown.folder.name != SAMPLES or not shown.files())


def remove_pictures(shown: Shown) -> None:
    """Remove what fsh made in a folder, the folders this empties, and, last, the record."""
    files = shown.files()
    for path in files:
        path.unlink()
    inside = {folder for path in files for folder in path.relative_to(shown.folder).parents}
    for folder in sorted((shown.folder / name for name in inside), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    shown.record.unlink(missing_ok=True)


def left_in_runs(runs: Path, targets: Sequence[str], erased: Tombstones) -> list[Found]:
    """Every folder of pictures that shows a target or anybody ever erased, or may."""
    wanted, found = Wanted.of(targets, erased), []
    for shown in pictures(runs):
        files = shown.files()
        if shown.videos is None:
            found.append(Found(str(shown.folder), "whom its pictures show is not written down"))
        elif files:
            told = wanted.in_text(" ".join(shown.videos))
            found += [Found(str(shown.folder), f"shows: {name}") for name in told]
        for path in files:
            # Pages repeat these, between pictures in which any short word may occur.
            if path.suffix in (".json", ".md"):
                told = wanted.in_text(path.read_text(errors="replace"))
                found += [Found(str(path), f"text: {name}") for name in told]
    return found


def person_at(target: str) -> Path | None:
    """The person's folder that a target is a path to; a bare name is no path.

    Raises:
        FshError: if it is a link.
    """
    folder = Path(target).expanduser()
    kind = str(_read_json(folder / CARD).get("format", ""))
    if "/" not in target or not kind.startswith("fsh-person-"):
        return None
    if folder.is_symlink():
        raise FshError("a link to a person", where=folder, remedy=f"name {folder.resolve()}")
    return folder


def remove_person(folder: Path) -> None:
    """Remove a person's folder, the card last: a kill before leaves a person to name again."""
    for path in folder.iterdir():
        if path.name == CARD:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    shutil.rmtree(folder)


def trained_on(runs: Path, people: Path, erased: Tombstones) -> list[dict[str, Any]]:
    """The training runs with checkpoints that saw erased videos, and the persons made of them.

    Returns:
        Per run: ``run``, ``videos`` (how many), ``checkpoints``, ``people``.
    """
    found = []
    for run in sorted(path for path in runs.glob("*") if path.is_dir()):
        videos: set[str] = set()
        checkpoints, models = [], set()
        for state in sorted(run.glob("checkpoints/*/state.json")):
            known = _read_json(state)
            seen = {v for v in known.get("videos", []) if erased.covers(video=v)}
            if seen:
                videos |= seen
                checkpoints.append(state.parent.name)
                models.add(known.get("files", {}).get("average.safetensors"))
        if checkpoints:
            made = [
                str(card.parent)
                for card in sorted(people.glob(f"*/{CARD}"))
                if _is_of_run(_read_json(card).get("about", {}), run.name, models)
            ]
            found.append(
                {"run": str(run), "videos": len(videos), "checkpoints": checkpoints, "people": made}
            )
    return found


def _is_of_run(about: dict[str, Any], run: str, models: set[Any]) -> bool:
    return about.get("made_from", {}).get("model") in models or about.get("run") == run


def _read_json(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
