"""What a person is called by the photos, and a film by its driver."""

from __future__ import annotations

import os
from pathlib import Path

from fsh.pipeline.inputs.landmark_track import TRACK_SUFFIXES
from fsh.pipeline.media.suffixes import PHOTO_SUFFIXES, VIDEO_SUFFIXES

_SUFFIXES = PHOTO_SUFFIXES | VIDEO_SUFFIXES | frozenset(TRACK_SUFFIXES)


def input_name(path: Path) -> str:
    """All of a folder's name; a file's name without the ending that says what it is.

    Nothing in it is replaced: what one folder of the disk is called, another can be called.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - of "." and "..", and not through links
    if whole.suffix.lower() in _SUFFIXES and not whole.is_dir():
        return whole.stem
    return whole.name
