"""End a command at a random moment, run it again, and compare with a run that nobody ended.

    python tests/torture/faults.py [--how kill] [--tries 20] [--only train] [--seed 0]

``--how``: ``kill`` (SIGKILL), ``term`` (SIGTERM), ``interrupt`` (Ctrl-C), or ``worker`` (SIGKILL to
a process that the command started, as the kernel does where memory runs out).

The same bytes of data, the same losses and weights, no half file under a final name, nothing left
over, no input changed, no process left running; a command that was asked to end says so in one
line. Each command runs in a fork of this process, which has imported everything and works on nothing.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))
from commands import COMMANDS, Command, digests, left_over

#: Seconds that a command may take at most, killed or not; and to end once it was asked to.
LONGEST, GRACE = 300.0, 30.0
HOW = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}


@dataclass(frozen=True)
class End:
    """How a command ended.

    Attributes:
        status: its exit status; minus the signal's number if one ended it.
        told: what it printed.
        running: what it left running, by name.
        struck: whether the fault came while it ran.
    """

    status: int
    told: str
    running: tuple[str, ...] = ()
    struck: bool = False

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
    (root / "tmp").mkdir(exist_ok=True)
    output = root.parent / "output.txt"
    output.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _be_a_command(work, root, output)
    status = _wait(child, after)
    struck = status is None and bool(how)
    if struck and how == "worker":
        _kill_a_worker(child)
    elif struck:
        group = how == "interrupt"  # a terminal tells all that run in it
        (os.killpg if group else os.kill)(child, HOW[how])
    if status is None:
        status = _wait(child, LONGEST if how in ("worker", "") else GRACE)
    if status is None:
        os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        output.open("a").write("\ndid not end when it was asked to: Traceback")
    told = output.read_text(errors="replace") if output.exists() else ""
    return End(os.waitstatus_to_exitcode(status), told, _left_running(), struck)


def _be_a_command(work: Callable[[Path], None], root: Path, output: Path) -> None:
    os.setsid()
    os.chdir(root)
    os.environ["TMPDIR"] = str(root / "tmp")
    tempfile.tempdir = None
    sink = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        work(root)
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


def _kill_a_worker(child: int) -> None:
    below = _children(child)
    below += [one for pid in below for one in _children(pid)]
    if below:
        with suppress(ProcessLookupError):
            os.kill(random.choice(below), signal.SIGKILL)


def _left_running(patience: float = 5.0) -> tuple[str, ...]:
    """What a command's processes are that outlived it; they are killed."""
    until = time.monotonic() + patience
    names: dict[int, str] = {}
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
        with suppress(OSError):
            names[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:120]
            os.kill(pid, signal.SIGKILL)
    return tuple(names.values())


def adopt_orphans() -> None:
    """Be the parent of what the commands leave running (Linux: PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


class Place:
    """A folder in which a command is run again and again, from the same beginning."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.command: Command = COMMANDS[name]
        self.pristine, self.root = scratch / "pristine", scratch / "work"
        self.pristine.mkdir()
        for step in (self.command.prepare, self.command.needs):
            if step:
                end = forked(step, self.pristine)
                assert end.status == 0, end.told
        shutil.rmtree(self.pristine / "tmp")
        self.inputs = self._inputs(self.pristine)
        self.fresh()
        began = time.monotonic()
        end = forked(self.command.work, self.root)
        self.seconds = time.monotonic() - began
        assert end.status == 0, end.told[-2000:]
        self.wanted = self.command.outcome(self.root)
        assert self.faults_of(end) == [], self.faults_of(end)

    def fresh(self) -> None:
        self.empty()
        shutil.copytree(self.pristine, self.root, symlinks=True, dirs_exist_ok=True)

    def empty(self) -> None:
        self.root.mkdir(exist_ok=True)
        for one in self.root.iterdir():
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()

    def run(self, **fault) -> End:
        return forked(self.command.work, self.root, **fault)

    def faults_of(self, again: End) -> list[str]:
        """What is wrong after a command has come to its end."""
        if again.status != 0:
            return [f"status {again.status} of the second run: {again.told[-300:]}"]
        found = self.command.outcome(self.root)
        wrong = [k for k in {**self.wanted, **found} if found.get(k) != self.wanted.get(k)]
        faults = [f"differs: {wrong[:6]}"] if wrong else []
        if left := [*left_over(self.root), *(one.name for one in (self.root / "tmp").iterdir())]:
            faults.append(f"left over: {left[:6]}")
        return faults + self.changed_inputs()

    def changed_inputs(self) -> list[str]:
        now = self._inputs(self.root)
        wrong = [k for k in self.inputs if now.get(k) != self.inputs[k]]
        return [f"inputs changed: {wrong[:6]}"] if wrong else []

    def _inputs(self, root: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for name in self.command.inputs:
            path = root / name
            found |= (
                {name: path.read_bytes()}
                if path.is_file()
                else {f"{name}/{k}": v for k, v in digests(path).items()}
            )
        return found


def torture(name: str, how: str, tries: int, rng: random.Random, scratch: Path) -> dict:
    """End a command ``tries`` times; what came of it."""
    place = Place(name, scratch)
    struck, faults = 0, []
    for number in range(tries):
        place.fresh()
        moment = rng.uniform(0, place.seconds)
        end = place.run(how=how, after=moment)
        struck += end.struck
        wrong = [] if how == "kill" or end.is_told else [f"said: {end.status} {end.told[-400:]}"]
        wrong += [f"left running: {one}" for one in end.running]
        wrong += place.changed_inputs()
        again = end if end.status == 0 else place.run()
        wrong += place.faults_of(again)
        if wrong:
            faults.append(f"try {number}, {how} after {moment:.3f} s: {'; '.join(wrong)}")
    return {
        "tries": tries,
        "struck": struck,
        "survived": tries - len(faults),
        "seconds": round(place.seconds, 2),
        "faults": faults,
    }


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--how", choices=[*HOW, "worker"], default="kill")
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--only", choices=COMMANDS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="fsh-faults-") as name:
        os.environ["FSH_HOME"] = str(Path(name, "home"))
        import_everything()
        found = {}
        for command in chosen.only or COMMANDS:
            scratch = Path(name, command)
            scratch.mkdir()
            rng = random.Random(f"{command} {chosen.seed}")
            found[command] = torture(command, chosen.how, chosen.tries, rng, scratch)
            print(f"{command}: {json.dumps(found[command])}", file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
