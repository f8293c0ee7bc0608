"""Let the disk run full at any write of a command; make room; the same command goes on.

    python tests/torture/full_disk.py [--tries 10] [--only animate]

For each command: a file system of its own (tmpfs) with all it works on and a little room, from none
to nearly enough, where its temporary files are too. It must end with status 1 and one line, leave
its inputs as they were and nothing half-written under a final name; with more room the same command
must give what it gives where there is room from the beginning. Needs root, or a user namespace.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))
from driver import each_command, options
from faults import Place

#: Ways to get mounts of one's own: as root, or as root of a user namespace.
_OWN_MOUNTS = (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"])
_ENOUGH = "size=512m"
#: Bytes of a block, and the least that a command is thought to need meanwhile.
_BLOCK, _LEAST = 4096, 200_000


def with_own_mounts() -> bool:
    """Go on in a process that has mounts of its own; False where that cannot be had."""
    if os.environ.get("FSH_OWN_MOUNTS"):
        return True
    for prefix in _OWN_MOUNTS:
        tried = [*prefix, "mount", "-t", "tmpfs", "none", "/mnt"]
        if subprocess.run(tried, capture_output=True).returncode == 0:
            os.environ["FSH_OWN_MOUNTS"] = "1"
            os.execvp(prefix[0], [*prefix, sys.executable, __file__, *sys.argv[1:]])
    return False


def mount(place: Path, size: str, *more: str) -> None:
    options = ",".join([*more, size])
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)


def used(place: Path) -> int:
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def written(place: Place) -> int:
    """Bytes that a command's outputs take; it may have needed more meanwhile."""
    place.fresh()
    before = used(place.root)
    assert place.run().status == 0
    return max(_LEAST, used(place.root) - before)


def torture(name: str, scratch: Path, chosen: argparse.Namespace) -> dict:
    """Give a command too little room again and again; what came of it."""
    (scratch / "work").mkdir()
    mount(scratch / "work", _ENOUGH)
    try:
        found = _torture(Place(name, scratch), chosen.tries, chosen.seconds)
        print(f"{name}, full disk: {json.dumps(found)}", file=sys.stderr, flush=True)
        return found
    finally:
        subprocess.run(["umount", "--lazy", scratch / "work"], check=True)


def _torture(place: Place, tries: int, seconds: float) -> dict:
    until = time.monotonic() + seconds
    most, faults, filled, done = written(place), [], 0, 0
    for number in random.Random(0).sample(range(tries), tries):
        if time.monotonic() > until:
            break
        done += 1
        place.fresh()
        room = round(most * number / tries / _BLOCK) * _BLOCK
        (place.root / "tmp").mkdir(exist_ok=True)
        mount(place.root, f"size={used(place.root) + room}", "remount")
        end = place.run()
        filled += end.status != 0
        wrong = [] if end.is_told else [f"said: {end.status} {end.told[-400:]}"]
        if end.status and "no room left on the disk" not in end.told:
            wrong.append(f"does not name the cause: {end.told[-300:]}")
        wrong += [f"left running: {one}" for one in end.running] + place.changed_inputs()
        mount(place.root, _ENOUGH, "remount")
        wrong += place.faults_of(end if end.status == 0 else place.run())
        if wrong:
            faults.append(f"room for {room} of {most} bytes: {'; '.join(wrong)}")
    return {"tries": done, "full": filled, "survived": done - len(faults), "faults": faults}


def main() -> None:
    chosen = options(tries=10).parse_args()
    if not with_own_mounts():
        print(json.dumps({"left out": "wants mounts of its own: root, or a user namespace"}))
        return
    each_command("disk", chosen, lambda name, scratch: torture(name, scratch, chosen))


if __name__ == "__main__":
    main()
