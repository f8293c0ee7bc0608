"""Checkpoints: a folder of safetensors and one JSON, written whole or not at all.

``<run>/checkpoints/step-00001000/`` holds ``state.json`` (configuration, data specification,
position, and the SHA-256 of each file beside it) and the tensors. Nothing is pickled. A folder is
written under a temporary name and renamed when it is complete, so the newest folder is always a
whole checkpoint; anything changed, cut short or foreign is refused by name. Persons' folders are
written and read in the same way.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.folder_kinds import FOLDER_KINDS
from fsh.schemas.places.outputs import require_own_folder
from fsh.schemas.places.run_layout import CHECKPOINT_STATE, PERSON_CARD, RunFolder, checkpoint_step
from fsh.schemas.places.temporary import replacing, replacing_folder
from fsh.schemas.progress import Progress

FORMAT = "fsh-checkpoint-1"
_REMEDY = "go on from an earlier one, or make it again under another name"
#: Name of the JSON to what a folder with it is, and the command that makes such folders.
_MADE_BY = {
    CHECKPOINT_STATE: ("a checkpoint", "fsh train"),
    PERSON_CARD: ("a person's folder", "fsh personalize"),
}

#: What a file of a folder may be called: nothing leads out of it.
_FILE_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
Opened = TypeVar("Opened")


def list_checkpoints(run: RunFolder) -> list[tuple[int, Path]]:
    """(step, folder) of every finished checkpoint, oldest first."""
    if not run.checkpoints.is_dir():
        return []
    steps = [(checkpoint_step(path), path) for path in run.checkpoints.iterdir()]
    return sorted((step, path) for step, path in steps if step is not None)


def write_folder(
    folder: Path,
    state: Mapping[str, Any],
    files: Mapping[str, Mapping[str, Tensor]],
    kind: str,
    manifest: str = CHECKPOINT_STATE,
) -> None:
    """Write tensors and the JSON under a temporary name, then rename the folder.

    Args:
        state: anything JSON can hold.
        files: file name to tensors; each file's SHA-256 goes into the JSON.
        kind: the format's name, checked when it is read.
        manifest: the JSON's file name.

    Raises:
        FshError: if the folder is there and holds anything else than an older version of the same,
            the place cannot be written, or the disk is full.
    """
    made = FOLDER_KINDS[manifest]

    def check() -> None:
        require_own_folder(folder, made)

    check()
    hashes = {}
    with replacing_folder(folder, check) as temporary:
        for name, tensors in files.items():
            # Strided copies of the same memory (channels-last weights) are stored plainly.
            plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
            save_file(plain, temporary / name)
            hashes[name] = file_sha256(temporary / name)
        body = {"format": kind, "files": hashes, **state}
        body["digest"] = _digest(body)
        (temporary / manifest).write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


def read_state(folder: Path, kind: str, manifest: str = CHECKPOINT_STATE) -> dict[str, Any]:
    """The folder's JSON, checked.

    Raises:
        FshError: naming the file and what is wrong with it.
    """
    path, remedy = folder / manifest, _REMEDY
    try:
        body = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise _absent(folder, manifest) from None
    except (ValueError, RecursionError):
        raise FshError("not JSON: cut short or changed", where=path, remedy=remedy) from None
    if not isinstance(body, dict) or body.get("format") != kind:
        found = body.get("format") if isinstance(body, dict) else type(body).__name__
        raise FshError(f"format is {found!r}, expected {kind!r}", where=path, remedy=remedy)
    if body.get("digest") != _digest(body):
        raise FshError("its contents do not fit its digest", where=path, remedy=remedy)
    files = body.get("files")
    if not isinstance(files, dict) or not all(
        _FILE_NAME.fullmatch(name) and isinstance(sha256, str) for name, sha256 in files.items()
    ):
        raise FshError("it does not name its files", where=path, remedy=remedy)
    return body


def _absent(folder: Path, manifest: str) -> FshError:
    """Why a folder has no JSON of this name, and what to do; nothing is to be removed."""
    kind, command = _MADE_BY[manifest]
    if not folder.exists():
        return FshError("no such folder", where=folder, remedy=f"run `{command}` first")
    what = f"not {kind} (no {manifest})"
    return FshError(what, where=folder, remedy=f"name one that `{command}` made")


def rewrite_state(folder: Path, body: Mapping[str, Any], manifest: str = CHECKPOINT_STATE) -> None:
    """Replace the folder's JSON by a changed one; the files beside it stay what they are."""
    changed = {**body, "digest": _digest(body)}
    with replacing(folder / manifest) as temporary:
        temporary.write_text(json.dumps(changed, indent=1, sort_keys=True) + "\n")


def read_tensors(folder: Path, state: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The tensors of one file, after its SHA-256 was compared with the one in the JSON.

    Raises:
        FshError: if the file is missing, cut short, changed or not mentioned.
    """
    verify_file(folder, state, name)
    return _loaded(folder / name)


def verify_file(folder: Path, state: Mapping[str, Any], name: str) -> None:
    """Compare a file's SHA-256 with the one in the JSON.

    Raises:
        FshError: if the file is missing, cut short, changed or not mentioned.
    """
    path = folder / name
    wanted = state["files"].get(name)
    if wanted is None or not path.is_file():
        raise FshError("this file of the checkpoint is missing", where=path, remedy=_REMEDY)
    if (found := file_sha256(path)) != wanted:
        raise FshError(
            f"SHA-256 is {found[:12]}…, expected {wanted[:12]}…: cut short or changed",
            where=path,
            remedy=_REMEDY,
        )


@dataclass(frozen=True)
class Checkpoint:
    """A training run's checkpoint, verified: its JSON, and files as the JSON says they are.

    Attributes:
        folder: ``<run>/checkpoints/step-<n>``.
        state: the contents of ``state.json``.
    """

    folder: Path
    state: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, files: Iterable[str] | None = None) -> Checkpoint:
        """Read the JSON, and compare the SHA-256 of these files; None: of all.

        Raises:
            FshError: naming the file and what is wrong with it.
        """
        state = read_state(folder, FORMAT)
        for name in state["files"] if files is None else files:
            verify_file(folder, state, name)
        return cls(folder, state)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of one of the files that were verified.

        Raises:
            FshError: if the file has been removed since.
        """
        return _loaded(self.folder / name)


def _loaded(path: Path) -> dict[str, Tensor]:
    """Raises:
    FshError: if it cannot be read, or is no safetensors file.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise FshError(f"cannot be read ({error})", where=path, remedy=_REMEDY) from error


def newest_sound(
    run: RunFolder, read: Callable[[Path], Opened], progress: Progress
) -> Opened | None:
    """The newest checkpoint that can be read; damaged ones are named and passed over.

    Args:
        read: opens a checkpoint's folder, and raises FshError if it is damaged.
    """
    for _, folder in reversed(list_checkpoints(run)):
        try:
            return read(folder)
        except FshError as error:
            progress.say(f"refused: {error}")
    return None


def prune(run: RunFolder, keep: int, good: int | None) -> None:
    """Remove all but the newest ``keep`` checkpoints; the last good one always stays."""
    for step, folder in list_checkpoints(run)[:-keep]:
        if step != good:
            shutil.rmtree(folder)


def _digest(body: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in body.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
