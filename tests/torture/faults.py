"""Kill a command (SIGKILL) at a random moment, run it again, and compare with a run nobody killed.

    python tests/torture/faults.py [--tries 20] [--only train] [--seed 0]

For each of ingest, shard, train, personalize and forget: the same bytes of data, the same losses
and weights, no half file under a final name, nothing left over. Each command runs in a fork of
this process, which has imported everything and works on nothing. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
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

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
HERE = Path(__file__).parent
for folder in (HERE.parents[1] / ".typecheck", HERE.parent / "helpers"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
os.environ["PYTHONPATH"] = str(HERE.parents[1] / ".typecheck")

#: Seconds that a command may take at most, killed or not.
LONGEST = 300
#: What differs between two runs: when it was, and how long it took.
_TIMES = {"time", "seconds", "episodes_per_second", "wall", "made", "when", "date", "elapsed"}


@dataclass(frozen=True)
class Command:
    """A command to kill.

    Attributes:
        prepare: makes what it works on, in a folder.
        work: the command itself, in that folder.
        outcome: what it is compared by: name → digest or value.
    """

    prepare: Callable[[Path], None]
    work: Callable[[Path], None]
    outcome: Callable[[Path], dict[str, object]]


def digests(root: Path, *, but: tuple[str, ...] = ()) -> dict[str, object]:
    """Path to digest of everything below a folder, locks apart, tables without their times."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.name.startswith(".lock") or path.suffix == ".fsh-lock" or name.startswith(but):
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink().name}"
        elif path.name == "sources.parquet":
            found[name] = _rows(path)
        elif path.is_dir():
            found[name] = "folder"
        elif path.name == "preview.png":
            found[name] = "a picture"  # its signature says when it was made
        elif path.suffix in (".json", ".jsonl"):
            found[name] = _without_times(path.read_text())
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _rows(path: Path) -> list[dict[str, object]]:
    from fsh.schemas.tables.parquet import read_sources

    times = ("first_seen", "last_tried", "attempts")
    rows = [source.to_row() for source in read_sources(path)]
    return [{k: str(v) for k, v in row.items() if k not in times} for row in rows]


def _without_times(text: str) -> object:
    def plain(value: object) -> object:
        if isinstance(value, dict):
            changing = _TIMES | {"digest", "sha256"}
            return {k: plain(v) for k, v in value.items() if k not in changing}
        return [plain(one) for one in value] if isinstance(value, list) else value

    lines = []
    for line in [text] if text.lstrip().startswith("{\n") else text.splitlines():
        with suppress(ValueError):
            lines.append(plain(json.loads(line)))
    return lines


def fsh(*arguments: str) -> None:
    from fsh.cli.app import main

    sys.argv = ["fsh", *arguments]
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))


def _videos(root: Path, count: int, seconds: float) -> None:
    from videos import moving, write_video

    (root / "in").mkdir()
    for number in range(count):
        frames = moving(seconds, mirrored=bool(number % 2), size=(360, 320 + 2 * number))
        write_video(root / "in" / f"{number}.mp4", frames)


def _photos(root: Path) -> None:
    from faces_helpers import portrait
    from PIL import Image

    (root / "photos").mkdir()
    Image.fromarray(portrait()).save(root / "photos" / "a.png")


def _train(root: Path) -> None:
    from tiny_run import Told, tiny_config

    from fsh.schemas.places.layout import DataFolder
    from fsh.trainer.training.loop import train

    config = tiny_config(steps=12, checkpoint_every=3)
    train(DataFolder(root / "data"), root / "run", config, Told())


def _tiny_data(root: Path) -> None:
    from tiny_run import tiny_folder

    tiny_folder(root / "data")


def _with_run(root: Path) -> None:
    _tiny_data(root)
    _train(root)
    _photos(root)


def _erasable(root: Path) -> None:
    import erasable

    erasable.make(root / "data", ["Ann", "Bob", "", "Cid", "", "Ann"])


def _run_outcome(root: Path) -> dict[str, object]:
    """Losses by step, and the weights of the last checkpoint."""
    steps = {}
    for line in (root / "run" / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        steps[row["step"]] = {k: v for k, v in row.items() if k in ("g", "d", "loss", "lr")}
    last = max((root / "run" / "checkpoints").iterdir())
    weights = {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in last.glob("*.safetensors")
    }
    places = sorted(p.name for p in (root / "run" / "checkpoints").iterdir())
    left = [p.name for p in root.rglob("*") if p.name.endswith(".tmp")]
    return {"steps": steps, "weights": weights, "checkpoints": places, "left over": left}


COMMANDS = {
    "ingest": Command(
        lambda root: _videos(root, 6, 0.4),
        lambda root: fsh("ingest", "in", "--copy", "--quiet"),
        lambda root: digests(root / "data", but=("sources/governor",)),
    ),
    "shard": Command(
        lambda root: (_videos(root, 2, 1.6), None)[1],
        lambda root: fsh("shard", "--landmarks", "dlib", "--size", "64", "--quiet"),
        lambda root: digests(root / "data", but=("sources/", "shards/notes")),
    ),
    "train": Command(_tiny_data, _train, _run_outcome),
    "personalize": Command(
        _with_run,
        lambda root: fsh(
            *("personalize", "--photos", "photos", "--run", "run", "--steps", "4", "-o", "ann"),
            "--quiet",
        ),
        lambda root: digests(root / "ann"),
    ),
    "forget": Command(
        _erasable,
        lambda root: fsh("forget", "Ann", "--yes", "--quiet"),
        lambda root: digests(root / "data", but=("sources/tombstones",)),
    ),
}


def forked(work: Callable[[Path], None], root: Path, *, kill_after: float | None = None) -> int:
    """Run a command in a child; its wait status. ``kill_after``: seconds until SIGKILL."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(root)
        sink = os.open(root.parent / "output.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        try:
            work(root)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(99)
        os._exit(0)
    until = time.monotonic() + (LONGEST if kill_after is None else kill_after)
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def torture(name: str, tries: int, rng: random.Random, scratch: Path) -> dict[str, object]:
    """Kill a command ``tries`` times; what came of it."""
    command = COMMANDS[name]
    pristine, root = scratch / "pristine", scratch / "work"
    pristine.mkdir()
    assert forked(command.prepare, pristine) == 0, (scratch / "output.txt").read_text()
    if name == "shard":
        assert forked(lambda r: fsh("ingest", "in", "--copy", "--quiet"), pristine) == 0

    def fresh() -> None:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(pristine, root, symlinks=True)

    fresh()
    began = time.monotonic()
    status = forked(command.work, root)
    assert status == 0, (scratch / "output.txt").read_text()[-2000:]
    whole = time.monotonic() - began
    wanted, killed, faults = command.outcome(root), 0, []
    for number in range(tries):
        fresh()
        moment = rng.uniform(0, whole)
        killed += forked(command.work, root, kill_after=moment) == signal.SIGKILL
        status = forked(command.work, root)
        found = command.outcome(root) if status == 0 else {"status": status}
        if found != wanted:
            differ = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
            faults.append(f"try {number}, killed after {moment:.3f} s: {differ[:6]}")
    return {
        "tries": tries,
        "killed": killed,
        "survived": tries - len(faults),
        "seconds": round(whole, 2),
        "faults": faults,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--only", choices=COMMANDS)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fsh-faults-") as name:
        os.environ["FSH_HOME"] = str(Path(name, "home"))
        import fsh.cli.app
        import fsh.pipeline.dataset.graph
        import fsh.pipeline.ingest.run
        import fsh.trainer.training.loop  # noqa: F401

        found = {}
        for command in [chosen.only] if chosen.only else COMMANDS:
            scratch = Path(name, command)
            scratch.mkdir()
            rng = random.Random(f"{command} {chosen.seed}")
            found[command] = torture(command, chosen.tries, rng, scratch)
            print(f"{command}: {json.dumps(found[command])}", file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
