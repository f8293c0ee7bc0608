"""Many commands in one process, because importing fsh takes longer than refusing a path.

The process has mounts of its own, if this machine allows that: a place that is full and one that
cannot be written are then real ones, for root too.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Ways to get mounts of one's own: as root, or as root of a user namespace.
_OWN_MOUNTS = (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"])
#: A command is allowed at most.
SECONDS = 400


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str


class CommandServer:
    """Runs commands one after the other in a child process."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        mount = ["mount", "-t", "tmpfs", "none", "/mnt"]
        self._prefix = next((p for p in _OWN_MOUNTS if _works([*p, *mount])), [])
        self.has_mounts = bool(self._prefix)
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [*self._prefix, sys.executable, __file__, str(self.scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: Sequence[object], cwd: Path) -> Done:
        """Run ``fsh`` with these arguments in a folder."""
        return Done(**self._ask(fsh=list(map(str, arguments)), cwd=str(cwd)))

    def system(self, *command: object) -> None:
        """Run another command there, such as ``mount``."""
        self._ask(system=list(map(str, command)))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(300)

    def _ask(self, **request: object) -> dict:
        if self._process.poll() is not None:
            self._start()
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        if not ready:
            self._process.kill()
        line = self._process.stdout.readline()
        assert line, f"{request} took too long, or the process that runs commands has died"
        answer = json.loads(line)
        assert "failed" not in answer, answer
        return answer


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=120).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _serve(scratch: Path) -> None:
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        if "system" in request:
            done = subprocess.run(request["system"], capture_output=True, text=True)
            answer = {"failed": done.stderr} if done.returncode else {}
        else:
            answer = _run(request["fsh"], request["cwd"], scratch)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _run(arguments: list[str], cwd: str, scratch: Path) -> dict:
    from fsh.cli.app import main

    os.chdir(cwd)
    sys.argv = ["fsh", *arguments]
    files = [scratch / name for name in ("out", "err")]
    for number, path in enumerate(files, 1):
        os.dup2(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), number)
    status: object = 0
    try:
        main()
    except SystemExit as exit:
        status = exit.code or 0
    except BaseException:
        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = (path.read_text(errors="replace") for path in files)
    return {"status": status, "out": out, "err": err}


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
