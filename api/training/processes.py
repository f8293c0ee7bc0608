"""Training in several processes, a GPU or a share of the cores each, started and watched here.

PyTorch's own launcher (``torch.distributed.run``) starts them and stops all when one fails; what
each of them does is in :mod:`fsh.training.process`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fsh.defaults import Announce
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.temporary import scratch_folder
from fsh.schemas.progress import Progress
from fsh.trainer.config import TrainConfig
from fsh.trainer.training.report import TrainReport
from fsh.training.process import STOP, TOLD, WORK

#: Seconds between two looks at what the processes tell, and at whether they shall stop.
LOOK = 0.1
#: Seconds that a process may take to end, after which it is killed.
GRACE = 30
#: Seconds in which others notice the death of a process: what they say then is no cause.
NOTICED = 10.0
_GO_ON = "the same command goes on from the last checkpoint"


def train_in_processes(
    data: DataFolder,
    run: Path,
    config: TrainConfig,
    devices: int,
    nodes: int,
    rendezvous: str | None,
    *,
    stop: Callable[[], bool],
    announce: Announce | None,
    progress: Progress,
) -> TrainReport:
    """Train in ``devices`` processes on each of ``nodes`` machines, all started with the same call.

    Args:
        rendezvous: ``HOST:PORT`` of one of the machines where there are several.

    Raises:
        FshError: whatever a process raised first, or that one was killed; the others are stopped.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    _quieten()
    shown = Std.NONE if os.environ.get("FSH_DEBUG") else Std.ALL
    with scratch_folder("train") as folder:
        (folder / WORK).write_text(json.dumps([str(data.root), str(run), config.to_json()]))
        launch = LaunchConfig(
            min_nodes=nodes,
            max_nodes=nodes,
            nproc_per_node=devices,
            logs_specs=DefaultLogsSpecs(str(folder), redirects=shown),
            run_id="fsh-train",
            rdzv_backend="c10d",
            rdzv_endpoint=rendezvous or "localhost:0",
            local_addr="localhost" if nodes == 1 else None,
            max_restarts=0,
            signals_to_handle="",  # they are the caller's
            shutdown_timeout=GRACE,
        )
        if nodes > 1:
            progress.say(f"waiting for {nodes} machines at {rendezvous}")
        with _Listener(folder, stop, announce, progress) as listener:
            try:
                elastic_launch(launch, sys.executable)("-m", "fsh.training.process", str(folder))
            except ChildFailedError as error:
                raise cause_of(error.failures, devices * nodes) from None
            except RendezvousError as error:
                if listener.read:
                    raise FshError(
                        "another machine, or the connection to it, is gone",
                        where=rendezvous or "",
                        remedy=f"start the same on all of them: {_GO_ON}",
                    ) from error
                raise FshError(
                    f"the {nodes} machines did not meet ({error})",
                    where=rendezvous or "",
                    remedy="start the same command on all of them, within a quarter of an hour",
                ) from error
    return listener.report()


def cause_of(failures: Mapping[int, Any], world: int) -> Exception:
    """The failure that the others followed from.

    Args:
        failures: rank to PyTorch's ``ProcessFailure``.
    """
    told = {
        rank: failure.error_file_data["failure"]
        for rank, failure in failures.items()
        if "failure" in failure.error_file_data
    }
    first = min(told, key=lambda rank: told[rank]["at"], default=None)
    killed = [
        rank
        for rank, failure in failures.items()
        if failure.exitcode < 0
        and failure.exitcode != -signal.SIGTERM  # that is how the launcher ends the others
        and (first is None or failure.timestamp < told[first]["at"] + NOTICED)
    ]
    if killed:
        rank = min(killed, key=lambda rank: failures[rank].timestamp)
        name = signal.Signals(-failures[rank].exitcode).name
        what = f"process {rank + 1} of {world} was killed ({name}), the others were stopped"
        hint = "" if name != "SIGKILL" else ", where memory ran out with a smaller --batch"
        return FshError(what, remedy=_GO_ON + hint)
    if first is None:
        rank, failure = min(failures.items(), key=lambda item: item[1].timestamp)
        what = f"process {rank + 1} of {world} ended with exit status {failure.exitcode}"
        return FshError(what, remedy="FSH_DEBUG=1 shows what it said")
    failure = told[first]
    if failure["expected"]:
        return FshError(failure["what"], where=failure["where"], remedy=failure["remedy"])
    if failure["where"] == "MemoryError":
        return MemoryError()
    return RuntimeError(f"process {first + 1} of {world}: {failure['where']}: {failure['what']}")


class _Listener:
    """Passes on what the processes tell, and tells them to stop."""

    def __init__(
        self,
        folder: Path,
        stop: Callable[[], bool],
        announce: Announce | None,
        progress: Progress,
    ) -> None:
        self.folder, self.stop, self.announce, self.progress = folder, stop, announce, progress
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._work, name="training processes", daemon=True)
        self.read = 0
        self.reported: dict[str, Any] | None = None

    def __enter__(self) -> _Listener:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        self._pass_on()
        self.progress.stop()

    def report(self) -> TrainReport:
        if self.reported is None:
            raise FshError("the processes ended without a word", remedy=_GO_ON)
        return TrainReport(**self.reported)

    def _work(self) -> None:
        stopping = False
        while not self.ended.wait(LOOK):
            self._pass_on()
            if not stopping and self.stop():
                stopping = True
                (self.folder / STOP).touch()

    def _pass_on(self) -> None:
        path = self.folder / TOLD
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self.read)
            for line in file:
                if not line.endswith(b"\n"):  # it is being written
                    break
                self.read += len(line)
                self._hear(*json.loads(line))

    def _hear(self, what: str, values: Any) -> None:
        if what == "report":
            self.reported = values
        elif what == "settings":
            if self.announce:
                self.announce(values)
        else:
            getattr(self.progress, what)(*values)


def _quieten() -> None:
    """Leave it to fsh to tell of failures."""
    if not os.environ.get("FSH_DEBUG"):
        logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
