"""Which files of a folder are a person's photos, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from fsh.pipeline.media.media_kind import media_kind
from fsh.pipeline.media.suffixes import PHOTO_SUFFIXES, VIDEO_SUFFIXES
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.disk import file_error
from fsh.schemas.text import shown

_REMEDY = "put 1 to 32 JPEG, PNG or WebP photos of one person there"
#: Photos named in one message at most.
_NAMED = 8


@dataclass(frozen=True, slots=True)
class RejectedPhoto:
    """A photo, or what might be one, that is not used, and why, in a few words."""

    path: Path
    reason: str

    def to_json(self) -> dict[str, str]:
        values = asdict(self)
        return {**values, "path": str(self.path)}


@dataclass(frozen=True, slots=True)
class FoundPhotos:
    """Photos and short videos in the order of their names, and the other files of the folder."""

    paths: tuple[Path, ...]
    left_out: tuple[RejectedPhoto, ...]

    def sha256(self) -> list[str]:
        """Hex SHA-256 of each file, sorted: what the photos are, whatever they are called.

        Raises:
            FshError: if a file cannot be read.
        """
        try:
            return sorted({file_sha256(path) for path in self.paths})
        except OSError as error:
            raise file_error(error) from error


def find_photos(source: Path) -> FoundPhotos:
    """The photos of a folder, each content once; a file's path gives that file.

    A file is taken by its name's ending or by its first bytes; whether it can be read shows later.

    Raises:
        FshError: if there is no such folder or file, or no photo in it.
    """
    if source.is_file():
        return FoundPhotos((source,), ())
    try:
        if not source.is_dir():
            what = "neither a file nor a folder" if source.exists() else "no such folder or file"
            raise FshError(what, where=source, remedy="give a folder of 1 to 32 photos, or one")
        names = sorted(source.iterdir())
    except OSError as error:
        raise file_error(error, source) from error
    candidates, left_out = [], []
    for path in names:
        if reason := _reason_against(path):
            left_out.append(RejectedPhoto(path, reason))
        else:
            candidates.append(path)
    paths, repeated = _distinct(candidates)
    if not paths:
        others = f" ({in_words(left_out)})" if left_out else ""
        raise FshError(f"no photos in this folder{others}", where=source, remedy=_REMEDY)
    return FoundPhotos(tuple(paths), (*left_out, *repeated))


def in_words(rejected: Iterable[RejectedPhoto]) -> str:
    """Photos with their reasons, for a message; of many the first."""
    parts = [f"{shown(photo.path.name)}: {photo.reason}" for photo in rejected]
    more = [f"and {len(parts) - _NAMED} more"] if len(parts) > _NAMED else []
    return "; ".join([*parts[:_NAMED], *more])


def _reason_against(path: Path) -> str:
    """Why something in a folder is no photo; empty if it may be one."""
    if path.name.startswith("."):
        return "a hidden file"
    if path.is_dir():
        return "a folder, which is not looked into"
    if not path.is_file():
        if path.is_symlink() and not path.exists():
            return "a link that leads nowhere"
        return "no file, but a pipe, a socket or a device"
    if path.suffix.lower() in PHOTO_SUFFIXES | VIDEO_SUFFIXES or media_kind(path):
        return ""
    if not os.access(path, os.R_OK):
        return "not permitted to read it"
    return "neither a picture nor a video"


def _distinct(paths: list[Path]) -> tuple[list[Path], list[RejectedPhoto]]:
    """The first file of each content, and the others."""
    first: dict[str, Path] = {}
    kept, repeated = [], []
    for path in paths:
        try:
            content = file_sha256(path)
        except OSError:  # whoever reads it says why not
            kept.append(path)
            continue
        if (same := first.setdefault(content, path)) is path:
            kept.append(path)
        else:
            repeated.append(RejectedPhoto(path, f"the same file as {shown(same.name)}"))
    return kept, repeated
