"""All of the torture, one part after the other: ``make torture``. About an hour.

    python tests/torture/run.py [--minutes 60] [--out build/torture]

Prints a line of JSON for each part, below it what did not survive and what was left out here. In
``--out`` are what each part says while it is at work, and the inputs of what fuzzing finds. Exit
status 1 if anything did not survive.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = ("lists", "ledger", "samples", "checkpoint", "tables", "consent", "manifest")
#: The commands whose work is long, and must not be lost; how many there are of all.
LONG = [f"--only={name}" for name in ("ingest", "shard", "train", "personalize", "forget")]
COMMANDS = 11
#: Ways to break a command besides a kill.
OTHERS = ("term", "interrupt", "worker", "locked", "twice")
#: Shares of the time; the rest goes to preparations, media and load.
FUZZING, KILLS, OTHER, DISK = 0.4, 0.2, 0.15, 0.1


def parts(minutes: float, out: Path) -> list[tuple[str, list[str]]]:
    """Name and command of every part; more time is more tries."""
    whole = 60 * minutes

    def each(share: float, number: int) -> str:
        return f"--seconds={whole * share / number:.0f}"

    fuzzing = each(FUZZING, len(TARGETS))
    tries = f"--tries={max(1, round(minutes / 3))}"
    few, count = max(1, round(minutes / 20)), max(20, round(5 * minutes))
    others = [each(OTHER, COMMANDS), *(f"--how={how}" for how in OTHERS)]
    return [
        *((f"fuzz {one}", ["fuzz.py", one, fuzzing, f"--out={out / one}"]) for one in TARGETS),
        ("kills", ["faults.py", tries, each(KILLS, len(LONG)), *LONG]),
        ("other faults", ["faults.py", f"--tries={few}", *others]),
        ("full disk", ["full_disk.py", f"--tries={2 * few}", each(DISK, COMMANDS)]),
        ("media", ["media.py", f"--count={count}"]),
        ("load", ["load.py", *(["--lines=500", "--files=5000"] if minutes < 30 else [])]),
    ]


def faults_of(found: dict) -> list[str]:
    """What did not survive, of a part's report."""
    wrong = [f"{where}: {what}" for where, what in found.get("findings", {}).items()]
    wrong += found.get("faults", [])
    for name, one in found.items():  # by command
        if isinstance(one, dict):
            wrong += [f"{name}: {fault}" for fault in one.get("faults", [])]
    return wrong


def left_out(found: dict) -> Iterator[str]:
    """What could not be tried on this machine, and what it takes."""
    for name, one in found.items():
        if name == "left out":
            yield str(one)
        elif isinstance(one, dict):
            yield from (why if name == "by" else f"{name}: {why}" for why in left_out(one))


def run(command: list[str], log: Path, seconds: float) -> tuple[dict, list[str]]:
    """Run a part; its report, and what did not survive.

    Args:
        log: gets what it says meanwhile.
        seconds: after which it counts as hanging.
    """
    words = [sys.executable, str(HERE / command[0]), *command[1:]]
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("w") as said:
            done = subprocess.run(
                words, stdout=subprocess.PIPE, stderr=said, text=True, timeout=seconds
            )
    except subprocess.TimeoutExpired:
        return {}, [f"not at its end after {seconds:.0f} s"]
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        found = None
    if done.returncode or not isinstance(found, dict):
        last = "\n    ".join(log.read_text(errors="replace").strip().splitlines()[-8:])
        return found or {}, [f"exit status {done.returncode}: {last}"]
    return found, faults_of(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "build" / "torture")
    chosen = parser.parse_args()
    failed = []
    chosen.out = chosen.out.absolute()
    for name, command in parts(chosen.minutes, chosen.out):
        log = chosen.out / f"{name.replace(' ', '-')}.log"
        found, wrong = run(command, log, 1800 + 60 * chosen.minutes)
        print(f"{name}: {json.dumps(found)}", flush=True)
        for one in wrong:
            print(f"  did not survive: {one}", flush=True)
        for one in left_out(found):
            print(f"  left out: {one}", flush=True)
        failed += [name] if wrong else []
    print(f"did not survive: {', '.join(failed)}" if failed else "all of it survived")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
