"""Which ffmpeg runs: the system's, or else the one that came as a wheel."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import imageio_ffmpeg


@functools.cache
def binary() -> str:
    """Path of the ffmpeg executable: ``$FSH_FFMPEG``, else the system's, else the wheel's."""
    return os.environ.get("FSH_FFMPEG") or shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()


def file_url(path: Path) -> str:
    """A path as ffmpeg's libraries take it: never an option, nor a protocol before a colon."""
    return f"file:{path}"
