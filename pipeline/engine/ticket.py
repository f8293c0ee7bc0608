"""What a worker must have in common with the command that started the run.

An engine's workers are other processes on other machines. One that has another version of fsh, or
another folder under the data folder's name, would give other results, or record that videos cannot
be read; so each looks first, and says in one line what is missing.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import fsh.pipeline
import fsh.schemas
from fsh.pipeline.engine.stop_signal import StopSignal
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder

#: Seconds after which a file must be seen that another machine has made: network file systems
#: remember for a while what was not there.
_SEEN_AFTER = 10.0


class RunStopped(Exception):
    """The run was stopped: what a worker was about to do is left undone."""


@cache
def fsh_here() -> str:
    """Version of fsh and a digest of the code that makes data sets."""
    digest = hashlib.sha256()
    for package in (fsh.pipeline, fsh.schemas):
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    try:
        number = version("fsh")
    except PackageNotFoundError:  # run from a checkout
        number = "unknown version"
    return f"{number}, code {digest.hexdigest()[:8]}"


@dataclass(frozen=True)
class Ticket:
    """Lets workers take part in a run. It can be pickled.

    Attributes:
        data: the data folder, as an absolute path.
        stop: the run's signal, a file in that folder.
        code: :func:`fsh_here` of the command.
        elsewhere: whether workers are other processes than the command's own.
    """

    data: DataFolder
    stop: StopSignal
    code: str
    elsewhere: bool

    @classmethod
    def of(cls, data: DataFolder, stop: StopSignal, *, elsewhere: bool) -> Ticket:
        """A ticket of this command's."""
        return cls(data, stop, fsh_here() if elsewhere else "", elsewhere)

    def check(self, ffmpeg: Callable[[], str]) -> None:
        """Look whether this process can take part; it costs nothing after the first time.

        Args:
            ffmpeg: gives the path of its ffmpeg.

        Raises:
            FshError: what this machine lacks.
        """
        if self.elsewhere:
            _check_code(self.code)
            _check_folder(self.data, self.stop)
            _check_ffmpeg(ffmpeg)

    @property
    def patience(self) -> float:
        """Seconds after which a worker must see what the command has just written."""
        return _SEEN_AFTER if self.elsewhere else 0.0

    @staticmethod
    def here() -> str:
        """What this process is called in messages."""
        return f"worker {socket.gethostname()} (pid {os.getpid()})"

    def go_on(self) -> None:
        """Raises:
        RunStopped: if the run was stopped.
        """
        if self.stop.is_set():
            raise RunStopped


def _check_code(code: str) -> None:
    if code != fsh_here():
        raise FshError(
            f"{Ticket.here()} has another fsh ({fsh_here()}) than this command ({code})",
            remedy="install the same fsh on every worker and restart them",
        )


@cache
def _check_folder(data: DataFolder, stop: StopSignal) -> None:
    until = time.monotonic() + _SEEN_AFTER
    while stop.is_set():
        if time.monotonic() > until or not data.records.is_dir():
            raise FshError(
                f"{Ticket.here()} does not see the data folder of this run",
                where=data.root,
                remedy="every worker must see the same folder under the same path",
            )
        time.sleep(0.2)


@cache
def _check_ffmpeg(ffmpeg: Callable[[], str]) -> None:
    try:
        subprocess.run([ffmpeg(), "-version"], capture_output=True, check=True, timeout=60)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise FshError(
            f"{Ticket.here()} has no ffmpeg that works ({type(error).__name__}: {error})",
            remedy="install ffmpeg or the package imageio-ffmpeg on every worker",
        ) from None
