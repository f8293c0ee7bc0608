"""Commands in processes of their own: how they end, what they say, what they leave running.

Each is a fork of this process, which has imported everything and works on nothing.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

#: Seconds that a command may take at most, killed or not; and to end once it was asked to.
LONGEST, GRACE = 300.0, 90.0
HOW = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}


@dataclass(frozen=True)
class End:
    """How a command ended.

    Attributes:
        status: its exit status; minus the signal's number if one ended it.
        told: what it printed.
        running: what it left running, by name.
        struck: whether the fault came while it ran.
        lost: the process of its own that was killed, by name.
        seconds: how long it ran.
    """

    status: int
    told: str
    running: tuple[str, ...] = ()
    struck: bool = False
    lost: str = ""
    seconds: float = 0.0

    @property
    def is_told(self) -> bool:
        """Whether it ended well, or in one line that says what happened."""
        lines = [line for line in self.told.splitlines() if line.startswith("fsh: ")]
        if "Traceback" in self.told or "internal error" in self.told:
            return False
        return self.status == 0 or (self.status > 0 and len(lines) == 1)


def forked(
    work: Callable[[Path], None], root: Path, *, how: str = "", after: float = LONGEST
) -> End:
    """Run a command in a child, with temporary files and settings below ``root``.

    Args:
        how: what happens to it. after: seconds until then.
    """
    began, lost = time.monotonic(), ""
    output, child = _started(work, root)
    status = _wait(child, after)
    struck = status is None and bool(how)
    if struck and how == "worker":
        while status is None and not (lost := _kill_a_worker(child)):
            status = _wait(child, 0.005)  # it has none yet, or none any more
        struck = bool(lost)
    elif struck and how == "locked":
        _set_locked(root, "+i")
    elif struck:
        group = how == "interrupt"  # a terminal tells all that run in it
        (os.killpg if group else os.kill)(child, HOW[how])
    if status is None:
        status = _wait(child, GRACE if how in HOW else LONGEST)
    if status is None:
        os.kill(child, signal.SIGUSR1)  # where it is
        time.sleep(1)
        os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        output.open("a").write("\nTraceback: did not end when it was asked to")
    seconds = time.monotonic() - began
    if struck and how == "locked":
        _set_locked(root, "-i")
    told = output.read_text(errors="replace") if output.exists() else ""
    code = os.waitstatus_to_exitcode(status)
    return End(code, told, _left_running(), struck, lost, seconds)


def _started(
    work: Callable[[Path], None], root: Path, name: str = "output.txt"
) -> tuple[Path, int]:
    """Where a command that begins now prints, and its process."""
    (root / "tmp").mkdir(exist_ok=True)
    output = root.parent / name
    output.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _be_a_command(work, root, output)
    return output, child


def twice(work: Callable[[Path], None], root: Path, *, after: float) -> tuple[End, End]:
    """Run a command twice at once, the second one ``after`` seconds later."""
    first_output, first = _started(work, root)
    time.sleep(after)
    second_output, second = _started(work, root, "output2.txt")
    ends = []
    for output, child in ((first_output, first), (second_output, second)):
        status = _wait(child, LONGEST)
        code = 99 if status is None else os.waitstatus_to_exitcode(status)
        ends.append(End(code, output.read_text(errors="replace") if output.exists() else ""))
    return ends[0], replace(ends[1], running=_left_running(), struck=ends[1].status != 0)


def _be_a_command(work: Callable[[Path], None], root: Path, output: Path) -> None:
    os.setsid()
    os.chdir(root)
    os.environ["TMPDIR"] = str(root / "tmp")
    tempfile.tempdir = None
    sink = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    faulthandler.register(signal.SIGUSR1, file=sink)
    try:
        work(root)
    except KeyboardInterrupt:  # before the command has begun; what is said then is Python's
        os.write(2, b"fsh: interrupted before it began\n")
        os._exit(130)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(99)
    os._exit(0)


def _wait(child: int, seconds: float) -> int | None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.002)
    return None


def _children(parent: int) -> list[int]:
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def _kill_a_worker(child: int) -> str:
    """Kill one of the processes that a command has started; its name, empty if there is none.

    Not one that has not become another program yet, nor Python's own that counts semaphores: these
    do no work of the command's, and hold no memory for whose sake they would be killed.
    """
    own = _name(child)
    below = _children(child)
    below += [one for pid in below for one in _children(pid)]
    named = [(pid, name) for pid in below if (name := _name(pid)) not in ("", own)]
    named = [(pid, name) for pid, name in named if "resource_tracker" not in name]
    if named:
        pid, name = random.choice(named)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return name
    return ""


def _name(pid: int) -> str:
    """A process's command line, shortened; empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()[:120]
    return ""


def can_lock(folder: Path) -> bool:
    """Whether :func:`_set_locked` has an effect in a folder: root may, on most file systems."""
    probe = folder / "probe"
    probe.mkdir()
    try:
        _set_locked(probe, "+i")
        (probe / "a file").touch()
    except OSError:
        return shutil.which("chattr") is not None
    else:
        return False
    finally:
        with suppress(OSError):
            _set_locked(probe, "-i")
        shutil.rmtree(probe)


def _set_locked(root: Path, flag: str) -> None:
    """Take away the right to make, rename or remove anything below a folder; from root too."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]
    subprocess.run(["chattr", flag, *folders], check=flag == "-i", capture_output=True)


def _left_running(patience: float = 30.0) -> tuple[str, ...]:
    """What a command's processes are that outlived it; they are killed."""
    until = time.monotonic() + patience
    names = []
    while True:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not (left := _children(os.getpid())):
            return ()
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    for pid in left:
        names.append(_name(pid) or "a process")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return tuple(names)


def adopt_orphans() -> None:
    """Be the parent of what the commands leave running (Linux: PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def import_everything() -> None:
    """Load what the commands load, so that a fork of this process begins with its work."""
    import fsh.cli.app
    import fsh.evaluation.comparison
    import fsh.films.animate
    import fsh.pipeline.dataset.graph
    import fsh.pipeline.ingest.run
    import fsh.trainer.person.onnx_export
    import fsh.trainer.training.loop
    import fsh.training.process  # noqa: F401
