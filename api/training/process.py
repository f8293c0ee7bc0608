"""Training in this process: alone, or as one of several that :mod:`fsh.training.processes` starts.

As one of several, what the first one tells goes into a file line by line, an error goes where
PyTorch's launcher looks for it, and a file says when to stop.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsh.data_places import copies_setting, data_folder
from fsh.defaults import Announce
from fsh.schemas import machine
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Progress, Silent
from fsh.threads import set_thread_count
from fsh.trainer.config import TrainConfig
from fsh.trainer.training.report import TrainReport

#: Files in the launcher's folder: what is to be done; it is there once the processes shall stop;
#: what the first process tells.
WORK, STOP, TOLD = "work.json", "stop", "told.jsonl"


def train_here(
    data: DataFolder,
    run: Path,
    config: TrainConfig,
    *,
    stop: Callable[[], bool],
    announce: Announce | None,
    progress: Progress,
) -> TrainReport:
    """Train in this process, alone or as one of several.

    Raises:
        FshError: see :func:`fsh.trainer.training.loop.train`.
    """
    from fsh.trainer.training.loop import train

    threads = set_thread_count(config.network.size)
    if announce:
        shown = {"data": data.root, "run": run, **copies_setting(data)}
        announce({**shown, **dict(config.table()), "threads": threads})
    return train(data, run, config, progress, stop=stop)


class _Teller:
    """A :class:`~fsh.schemas.progress.Progress` that another process shows."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a")

    def tell(self, what: str, values: Any) -> None:
        self.file.write(json.dumps([what, values], default=str) + "\n")
        self.file.flush()

    def start(self, what: str, total: float | None, unit: str, done: float = 0) -> None:
        self.tell("start", [what, total, unit, done])

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.tell("advance", [amount, note])

    def say(self, line: str) -> None:
        self.tell("say", [line])

    def stop(self) -> None:
        self.tell("stop", [])


@contextmanager
def _stopping(folder: Path) -> Iterator[Callable[[], bool]]:
    """Yield ``stop()``: whether the launcher asks for it, or is gone, or SIGTERM came.

    A SIGTERM after that ends this process.
    """
    parent, signalled = os.getppid(), False

    def stop() -> bool:
        return signalled or (folder / STOP).exists() or os.getppid() != parent

    def handle(*_: object) -> None:
        nonlocal signalled
        if stop():
            raise KeyboardInterrupt
        signalled = True

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _hand_in(error: BaseException) -> None:
    """Leave an error where PyTorch's launcher looks for it."""
    now, expected = time.time(), isinstance(error, FshError)
    failure = {
        "at": now,
        "expected": expected,
        "what": error.what if isinstance(error, FshError) else str(error),
        "where": error.where if isinstance(error, FshError) else type(error).__name__,
        "remedy": error.remedy if isinstance(error, FshError) else "",
    }
    message = {"message": str(error), "extraInfo": {"timestamp": str(int(now))}}
    content = json.dumps({"message": message, "failure": failure})
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        Path(path).write_text(content)


def main(folder: Path) -> int:
    """One of the processes; its exit status."""
    share = max(1, machine.cores() // int(os.environ["LOCAL_WORLD_SIZE"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(share))  # before PyTorch is loaded
    from fsh.trainer.distributed import leave_processes

    telling = _Teller(folder / TOLD) if os.environ["LOCAL_RANK"] == "0" else None
    data, run, config = json.loads((folder / WORK).read_text())
    try:
        with _stopping(folder) as stop:
            report = train_here(
                data_folder(data),
                Path(run),
                TrainConfig.from_json(config),
                stop=stop,
                announce=(lambda settings: telling.tell("settings", settings)) if telling else None,
                progress=telling or Silent(),
            )
            if telling:
                telling.tell("report", report.to_json())
            leave_processes()
    except BaseException as error:
        traceback.print_exc()  # into a file, or for FSH_DEBUG
        _hand_in(error)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher decides what Ctrl-C means
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads of Arrow's and gloo's that are torn down may abort
