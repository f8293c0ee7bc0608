"""All of the torture, one part after the other: ``make torture``. An hour at most.

    python tests/torture/run.py [--minutes 60]

Prints a line of JSON for each part. Exit status 1 if anything did not survive.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = ("lists", "ledger", "samples", "checkpoint", "tables", "consent", "manifest")
#: The commands whose work is long, and must not be lost.
LONG = [f"--only={name}" for name in ("ingest", "shard", "train", "personalize", "forget")]


def parts(minutes: float) -> list[tuple[str, list[str]]]:
    """Name and command of every part; more time is more tries."""
    fuzzing = 0.5 * 60 * minutes / len(TARGETS)
    found = [(f"fuzz {name}", ["fuzz.py", name, f"--seconds={fuzzing:.0f}"]) for name in TARGETS]
    tries, count = max(1, round(minutes / 3)), max(20, round(5 * minutes))
    few = max(1, round(minutes / 20))
    other = ("term", "interrupt", "worker", "locked", "twice")
    return [
        *found,
        ("kills", ["faults.py", f"--tries={tries}", *LONG]),
        ("other faults", ["faults.py", f"--tries={few}", *(f"--how={how}" for how in other)]),
        ("full disk", ["full_disk.py", f"--tries={2 * few}"]),
        ("media", ["media.py", f"--count={count}"]),
        ("load", ["load.py", *(["--lines=500", "--files=5000"] if minutes < 30 else [])]),
    ]


def faults_of(found: dict) -> list[str]:
    """What did not survive, of a part's report."""
    wrong = [str(one) for one in found.get("findings", {})]
    for name, part in found.items():  # by command
        if isinstance(part, dict):
            wrong += [f"{name}: {one}" for one in part.get("faults", [])]
    for name in ("without a class", "without an end", "internal"):
        wrong += [f"{name}: {one}" for one in found.get(name, [])]
    if found.get("the good one's bytes are the same") is False:
        wrong.append("a good video's bytes changed")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60)
    survived = True
    for name, command in parts(parser.parse_args().minutes):
        done = subprocess.run(
            [sys.executable, str(HERE / command[0]), *command[1:]], capture_output=True, text=True
        )
        last = (done.stdout.strip().splitlines() or [""])[-1]
        try:
            wrong = faults_of(json.loads(last))
        except ValueError:
            wrong = [f"exit {done.returncode}: {done.stderr.strip()[-500:]}"]
        print(f"{name}: {last or '{}'}", flush=True)
        for one in wrong:
            print(f"  did not survive: {one}", flush=True)
        survived &= not wrong
    sys.exit(0 if survived else 1)


if __name__ == "__main__":
    main()
