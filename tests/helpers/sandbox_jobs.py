"""Jobs for sandboxes; a worker process imports them by name."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from fsh.pipeline.sandbox import Sandbox as Sandbox
from fsh.schemas.errors import FshError
from fsh.schemas.places.temporary import lasting_scratch_folder


def double(x: int) -> int:
    return 2 * x


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def own_id() -> int:
    return os.getpid()


def keep_a_copy() -> str:
    """A file that a worker needs for as long as it lives."""
    copy = lasting_scratch_folder("copies") / "copy.bin"
    copy.write_bytes(b"large")
    return str(copy)


def fail_with_reason() -> None:
    raise FshError("no frame", where="a.mp4")


def fail_with_bug() -> None:
    raise ValueError("a bug")


def crash() -> None:
    ctypes.string_at(0)


def be_killed(note: str, times: int) -> int:
    """As where memory is short: the first times; then how many times it was begun."""
    with Path(note).open("a") as file:
        file.write("x")
    tries = len(Path(note).read_text())
    if tries <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return tries


def exit_with_3() -> None:
    os._exit(3)


def hang_with_child(pid_file: str) -> None:
    child, note = subprocess.Popen(["sleep", "600"]), Path(pid_file)
    half = note.with_suffix(".half")  # who sees the note can read it
    half.write_text(str(child.pid))
    half.replace(note)
    time.sleep(600)


def allocate(megabytes: int) -> int:
    return int(np.ones((megabytes, 2**20), np.uint8)[:, 0].sum())
