"""End a command at a random moment, run it again, and compare with a run that nobody ended.

    python tests/torture/faults.py [--how kill] [--tries 20] [--only train] [--seed 0]

Every command (a row of :data:`commands.COMMANDS`) is broken in every way that is named (``--how``,
several times): the table is the product of the two.
- ``kill``: SIGKILL; ``term``: SIGTERM; ``interrupt``: Ctrl-C;
- ``worker``: SIGKILL to a process that it started, as the kernel does where memory runs out; where
  it has none at that moment, to the next one;
- ``locked``: nothing can be made or removed in any of its folders any more (chattr, as root);
- ``twice``: it is started a second time on the same folder.

The same bytes of data, the same losses and weights, no half file under a final name, nothing left
over, no input changed, no process left running; a command that was asked to end says so in one
line. Each command runs in a fork of this process, which has imported everything and works on
nothing. Prints one JSON object.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))
from children import HOW, End, can_lock, forked, twice
from commands import COMMANDS, Command, digests, left_over
from driver import each_command, options


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
        end = self.run()
        self.seconds = end.seconds
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
        if left := [*left_over(self.root), *_scratch(self.root / "tmp")]:
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


def _scratch(folder: Path) -> list[str]:
    """What is left of temporary files; PyTorch makes a cache there that is its own."""
    names = [path.name for path in folder.iterdir()]
    return [name for name in names if not name.startswith("torchinductor_")]


def torture(place: Place, how: str, tries: int, rng: random.Random, seconds: float) -> dict:
    """End a command ``tries`` times, or as often as the time lets; what came of it."""
    if how == "locked" and not can_lock(place.root):
        return untried("chattr as root, on a file system that has it")
    until = time.monotonic() + seconds
    struck, faults, done = 0, [], 0
    lost: Counter[str] = Counter()
    for number in range(tries):
        if time.monotonic() > until:
            break
        done += 1
        place.fresh()
        moment = rng.uniform(0, place.seconds)
        wrong = []
        if how == "twice":
            first, end = twice(place.command.work, place.root, after=moment)
            if not first.is_told or (first.status and end.status):
                wrong.append(f"the first said: {first.status} {first.told[-400:]}")
        else:
            end = place.run(how=how, after=moment)
            if not end.struck:  # other programs may have gone, or come
                place.seconds = end.seconds
        struck += end.struck
        lost.update([_program(end.lost)] if end.lost else [])
        if how != "kill" and not end.is_told:
            wrong.append(f"said: {end.status} {end.told[-400:]}")
        wrong += [f"left running: {one}" for one in end.running]
        wrong += place.changed_inputs()
        halted = end.struck and place.command.saves
        again = end if end.status == 0 and not halted else place.run()
        wrong += place.faults_of(again)
        if wrong:
            what = f"{how} {end.lost}".strip()
            faults.append(f"try {number}, {what} after {moment:.3f} s: {'; '.join(wrong)}")
    found = {"tries": done, "struck": struck, "survived": done - len(faults), "faults": faults}
    return {**found, "lost": dict(lost)} if lost else found


def untried(wants: str) -> dict:
    """The report on what cannot be tried for want of something."""
    return {"tries": 0, "struck": 0, "survived": 0, "faults": [], "left out": f"wants {wants}"}


def _program(command: str) -> str:
    """What a process is, by its command line: ``ffmpeg``, or a Python program's module."""
    if found := re.search(r"from ([\w.]+) import|-m ([\w.]+)", command):
        return found[1] or found[2]
    return re.split(r"-linux|\s", Path(command.split()[0]).name)[0]


def main() -> None:
    parser = options(tries=20)
    every = [*HOW, "worker", "locked", "twice"]
    parser.add_argument("--how", choices=every, action="append")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    def broken(command: str, scratch: Path) -> dict:
        place, by = Place(command, scratch), {}
        until = time.monotonic() + chosen.seconds
        hows = list(chosen.how or ["kill"])
        random.Random(f"{command} {chosen.seed}").shuffle(hows)
        for number, how in enumerate(hows):
            left = (until - time.monotonic()) / (len(hows) - number)
            if by and left <= 0:
                by[how] = untried("more time")
                continue
            rng = random.Random(f"{command} {how} {chosen.seed}")
            by[how] = torture(place, how, chosen.tries, rng, left)
            print(f"{command}, {how}: {json.dumps(by[how])}", file=sys.stderr, flush=True)
        total = {name: sum(one[name] for one in by.values()) for name in ("tries", "struck")}
        faults = [fault for one in by.values() for fault in one["faults"]]
        return {**total, "seconds": round(place.seconds, 2), "by": by, "faults": faults}

    each_command("faults", chosen, broken)


if __name__ == "__main__":
    main()
