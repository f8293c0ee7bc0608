"""Kill an erasure (SIGKILL) at its n-th change of a file, run it again, and compare; for every n.

    python kill_anywhere.py PRISTINE SCRATCH EVERY TARGET…

Prints one line per n whose folder differs from the uninterrupted one's, and at last the number of
places tried. A process of its own, because it forks and must not have threads.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from pathlib import Path

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.erasure.erase import erase
from fsh.pipeline.erasure.plan import plan_erasure
from fsh.schemas.places.layout import DataFolder

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "tempfile.mkstemp")


def contents(root: Path) -> dict[str, str]:
    """Relative path to digest of everything below a folder but the locks."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file() and not path.name.startswith(".lock"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir():
            found[name] = "folder"
    return found


def erase_in_child(root: Path, targets: list[str], die_at: int | None) -> bool:
    """Run the erasure in a child; whether it came to its end."""
    child = os.fork()
    if child == 0:
        if die_at is not None:
            left = [die_at]

            def hook(event: str, args: tuple) -> None:
                writing = event == "open" and isinstance(args[2], int) and args[2] & os.O_ACCMODE
                if event in CHANGES or writing:
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
        data = DataFolder(root)
        erase(data, plan_erasure(data, targets), config=ShardConfig(shard_bytes=30_000))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status not in (0, signal.SIGKILL):
        raise SystemExit(f"the erasure failed with status {status}, killed at {die_at}")
    return status == 0


def main() -> None:
    pristine, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    every, targets = int(sys.argv[3]), sys.argv[4:]
    wanted, place = None, -every
    while True:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(pristine, scratch, symlinks=True)
        finished = erase_in_child(scratch, targets, None if wanted is None else place)
        if wanted is None:
            wanted = contents(scratch)
        elif finished:
            break
        else:
            erase_in_child(scratch, targets, None)
            if (found := contents(scratch)) != wanted:
                differ = [n for n in {**found, **wanted} if found.get(n) != wanted.get(n)]
                print(f"killed at change {place}: {differ}")
        place += every
    print(place)


if __name__ == "__main__":
    main()
