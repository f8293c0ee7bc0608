"""Which ffmpeg runs: the system's if it is new enough, or else the one that came as a wheel."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

#: The oldest ffmpeg that knows all options fsh gives it, and its libavutil: builds from a
#: repository's head give no version, but always that.
OLDEST = "5.1"
_OLDEST_LIBRARY = (57, 28)


#: The choices that were told.
_told: list[Chosen] = []


@dataclass(frozen=True)
class Chosen:
    """The ffmpeg that runs.

    Attributes:
        path: of the executable.
        version: as it says.
        instead_of: why another one that is there does not run, one line; empty if there is none.
    """

    path: str
    version: str
    instead_of: str = ""


@functools.cache
def chosen() -> Chosen:
    """The first that can be used: ``$FSH_FFMPEG``, the system's, the wheel's."""
    instead_of = ""
    for path in (os.environ.get("FSH_FFMPEG"), shutil.which("ffmpeg")):
        if path:
            version, wrong = _examined(path)
            if not wrong:
                return Chosen(path, version, instead_of)
            instead_of = instead_of or wrong
    own = imageio_ffmpeg.get_ffmpeg_exe()
    return Chosen(own, _examined(own)[0], instead_of)


def binary() -> str:
    """Path of the ffmpeg executable."""
    return chosen().path


def _examined(path: str) -> tuple[str, str]:
    """An executable's version, and in one line why it cannot be used; empty if it can."""
    try:
        done = subprocess.run(
            [path, "-hide_banner", "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"{path} does not run ({getattr(error, 'strerror', None) or 'no answer'})"
    version, too_old = version_of(done.stdout)
    if not version or done.returncode:
        return "", f"{path} does not run (exit {done.returncode})"
    if too_old:
        return version, f"{path} is ffmpeg {version}, older than {OLDEST}"
    return version, ""


def version_of(text: str) -> tuple[str, bool]:
    """What ``ffmpeg -version`` says: the version, or nothing, and whether it is too old."""
    name = re.search(r"^ffmpeg version (\S+)", text, re.MULTILINE)
    library = re.search(r"^libavutil +(\d+)\. *(\d+)\.", text, re.MULTILINE)
    if not name:
        return "", False
    numbers = (int(library[1]), int(library[2])) if library else (0, 0)
    return name[1], numbers < _OLDEST_LIBRARY


def tell_choice(say: Callable[[str], None]) -> None:
    """Say, once in a process, that an ffmpeg which is there does not run, and why."""
    now = chosen()
    if now.instead_of and now not in _told:
        _told.append(now)
        say(f"{now.instead_of}: the wheel's own {now.version} is used instead")


def file_url(path: Path) -> str:
    """A path as ffmpeg's libraries take it: never an option, nor a protocol before a colon."""
    return f"file:{path}"
