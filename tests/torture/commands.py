"""The commands that are tortured: what each works on, and what its outcome is compared by."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.util import _exit_function
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
HERE = Path(__file__).parent
for folder in (HERE.parents[1] / ".typecheck", HERE.parent / "helpers"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
os.environ["PYTHONPATH"] = str(HERE.parents[1] / ".typecheck")

#: What differs between two runs: when it was, and how long it took.
_TIMES = {"time", "seconds", "episodes_per_second", "wall", "made", "when", "date", "elapsed"}


@dataclass(frozen=True)
class Command:
    """A command to break.

    Attributes:
        prepare: makes what it works on, in a folder.
        work: the command itself, in that folder.
        outcome: what it is compared by: name → digest or value.
        needs: a command that goes before, which is not broken.
        inputs: what it reads and may not change, files and folders.
        saves: whether it ends well when it is asked to end, and goes on when it is started again.
    """

    prepare: Callable[[Path], None]
    work: Callable[[Path], None]
    outcome: Callable[[Path], dict[str, object]]
    needs: Callable[[Path], None] | None = None
    inputs: tuple[str, ...] = ()
    saves: bool = False


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
        elif path.name == "throughput.json":
            found[name] = "times"
        elif path.name == "preview.png":
            found[name] = "a picture"  # its signature says when it was made
        elif path.suffix == ".html":  # pictures in it are signed as well
            found[name] = re.sub(r"data:image/[^\"')]*", "a picture", path.read_text())
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


def left_over(root: Path) -> list[str]:
    """Files that have not got their names, and locks that nobody holds."""
    from fsh.schemas.places.temporary import is_temporary

    names = [str(path.relative_to(root)) for path in root.rglob("*")]
    return [n for n in names if is_temporary(Path(n).name) or n.endswith((".tmp", ".fsh-lock"))]


def fsh(*arguments: str) -> None:
    """The command line, in this process; ends it."""
    from fsh.cli.app import main

    sys.argv = ["fsh", *arguments, "--quiet"]
    try:
        main()
    except SystemExit as end:
        sys.stderr.flush()
        _exit_function()  # as at a program's end; what is else done then is the parent's
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


def _train(root: Path, devices: int = 1, **changes: int) -> None:
    """``fsh train`` with networks smaller than any preset's, and more checkpoints."""
    from tiny_run import tiny_config

    from fsh.cli import commands
    from fsh.schemas.places.layout import DataFolder
    from fsh.schemas.progress import Silent
    from fsh.trainer.training.signals import stop_on_signals
    from fsh.training.process import train_here
    from fsh.training.processes import train_in_processes

    def work(prog_name: str) -> None:
        config = tiny_config(steps=12, checkpoint_every=3, **changes)
        with stop_on_signals(Silent()) as stop:
            place = DataFolder(root / "data"), root / "run", config
            if devices == 1:
                train_here(*place, stop=stop, announce=None, progress=Silent())
            else:
                told = {"stop": stop, "announce": None, "progress": Silent()}
                train_in_processes(*place, devices, 1, None, **told)
        raise SystemExit(0)

    commands.app = work  # type: ignore[assignment]
    fsh("train")


def _tiny_data(root: Path) -> None:
    from tiny_run import tiny_folder

    tiny_folder(root / "data")


def _with_run(root: Path) -> None:
    from tiny_run import Told, tiny_config

    from fsh.schemas.places.layout import DataFolder
    from fsh.trainer.training.loop import train

    _tiny_data(root)
    _photos(root)
    train(DataFolder(root / "data"), root / "run", tiny_config(steps=2), Told())


def _with_person(root: Path) -> None:
    from untrained import untrained
    from videos import moving, write_video

    untrained().save(root / "person")
    write_video(root / "talk.mp4", moving(0.6))


def _erasable(root: Path) -> None:
    import erasable

    erasable.make(root / "data", ["Ann", "Bob", "", "Cid", "", "Ann"])


def _run_outcome(root: Path) -> dict[str, object]:
    """Losses by step, and the weights of the last checkpoint."""
    found: dict[str, object] = {}
    for line in (root / "run" / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        found[f"step {row['step']}"] = row
    assert all(len(str(row)) > 99 for row in found.values()), found  # losses are among it
    last = max((root / "run" / "checkpoints").iterdir())
    for path in last.glob("*.safetensors"):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    found["last"] = last.name
    # Being asked to end saves at that step, so which ones are there differs; none may be half.
    others = [path.name for path in (root / "run" / "checkpoints").iterdir()]
    found["half"] = [name for name in others if not re.fullmatch(r"step-\d{8}", name)]
    return found


def _film(root: Path) -> dict[str, object]:
    """Its pictures, and whether its manifest is whole."""
    from fsh.pipeline.media import ffmpeg
    from fsh.pipeline.provenance.manifest import read_manifest

    film = root / "film.mp4"
    command = [ffmpeg.binary(), "-v", "error", "-i", str(film), "-f", "md5", "-"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = read_manifest(film)
    return {"pictures": done.stdout + done.stderr, "manifest": found is not None}


def _pages(root: Path) -> dict[str, object]:
    return {path.name: "a page" for path in root.glob("*.html")}


def _training(**options: int) -> Command:
    return Command(
        _tiny_data,
        lambda root: _train(root, **options),
        _run_outcome,
        inputs=("data",),
        saves=True,
    )


COMMANDS = {
    "ingest": Command(
        lambda root: _videos(root, 6, 0.4),
        lambda root: fsh("ingest", "in", "--copy"),
        lambda root: digests(root / "data", but=("sources/governor",)),
        inputs=("in",),
    ),
    "shard": Command(
        lambda root: _videos(root, 2, 1.6),
        lambda root: fsh("shard", "--landmarks", "dlib", "--size", "64"),
        lambda root: digests(root / "data", but=("sources/", "shards/notes")),
        needs=lambda root: fsh("ingest", "in", "--copy"),
        inputs=("in", "data/videos"),
    ),
    "train": _training(),
    "train-loaders": _training(workers=2),
    "train-processes": _training(devices=2),
    "personalize": Command(
        _with_run,
        lambda root: fsh(
            *("personalize", "--photos", "photos", "--run", "run", "--steps", "4", "-o", "ann"),
        ),
        lambda root: digests(root / "ann"),
        inputs=("data", "photos", "run"),
    ),
    "forget": Command(
        _erasable,
        lambda root: fsh("forget", "Ann", "--yes"),
        lambda root: digests(root / "data", but=("sources/tombstones",)),
        inputs=("originals",),
    ),
    "inspect": Command(
        _erasable,
        lambda root: fsh("inspect", "-o", "page.html"),
        _pages,
        inputs=("originals", "data"),
    ),
    "animate": Command(
        _with_person,
        lambda root: fsh(
            "animate", "--person", "person", "--driving", "talk.mp4", "-o", "film.mp4"
        ),
        _film,
        inputs=("person", "talk.mp4"),
    ),
    "export": Command(
        _with_person,
        lambda root: fsh("export", "--person", "person", "-o", "onnx"),
        lambda root: digests(root / "onnx"),
        inputs=("talk.mp4",),  # the person's card says what was written of it without a mark
    ),
    "evaluate": Command(
        _with_run,
        lambda root: fsh(
            *("evaluate", "--run", "run", "--split", "train", "--shots", "1", "--frames", "2"),
            *("--held", "3", "--steps", "0", "-o", "table", "--user-study", "study"),
        ),
        lambda root: digests(root / "table", but=("strips",)),
        inputs=("data", "run", "photos"),
    ),
}
