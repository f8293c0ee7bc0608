"""What a folder holds that may be asked for: its videos, and lists beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fsh.pipeline.ingest.lists import texts
from fsh.pipeline.media.media_kind import VIDEO, media_kind
from fsh.pipeline.media.suffixes import OTHER_SUFFIXES, VIDEO_SUFFIXES
from fsh.schemas.text import shown


def media_files(folder: Path) -> list[Path]:
    """A folder's videos, sorted; hidden files and folders are left out.

    Names that say nothing are looked into. A dot or blank behind the ending, as other systems leave
    it, is no part of it.
    """
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(root, name)
            for name in sorted(files)
            if not name.startswith(".") and _is_video(Path(root, name), _suffix(name))
        ]
    return found


def _is_video(path: Path, suffix: str) -> bool:
    return suffix in VIDEO_SUFFIXES or (suffix not in OTHER_SUFFIXES and media_kind(path) == VIDEO)


def _suffix(name: str) -> str:
    return Path(name.rstrip(". ")).suffix.lower()


def unread_lists(folder: Path, files: Sequence[Path], videos: Sequence[Path]) -> list[str]:
    """A note for the user if lists lie beside a folder's videos; what bears a video's name is its
    own."""
    stems = {path.name.split(".")[0] for path in videos}
    lists = [
        path.name
        for path in files
        if texts.list_suffix(path.name) in texts.SUFFIXES and path.name.split(".")[0] not in stems
    ]
    if not lists:
        return []
    what = f"its videos are taken, and {', '.join(lists[:3])}{' …' if lists[3:] else ''} not read"
    return [f"{shown(folder)}: {shown(what)}: give a list by itself"]
