"""The command line as a process of its own."""

from __future__ import annotations

import subprocess
import sys


def fsh(*arguments: object, cwd=None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fsh.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)
