"""Scripts in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path


def python(script: str, *arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """A process that runs a script; its errors can be read."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, stderr=subprocess.PIPE)


def wait_for(path: Path, seconds: float = 300) -> None:
    """Wait until a path is there."""
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.05)


def started(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs a script and has printed a line."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "there\n"
    return process
