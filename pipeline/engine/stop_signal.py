"""How one run tells its workers to stop, whatever threads, processes or machines they are.

A flag in memory would reach only the workers of one process. The signal is therefore a file in the
data folder, which all workers share: as long as it is there the run goes on, and whoever deletes it
stops the run. Deleting is used, not creating, because it works on a full disk as well.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fsh.schemas.places.disk import explaining_refusals
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import StoreRefused, file_size, is_remote, persistently, write_object

#: Seconds between two questions to a store.
_ASK_EVERY = 3.0
#: When each signal in a store was last asked for, and what was said.
_answers: dict[Path, tuple[float, bool]] = {}
_asking = threading.Lock()


@dataclass(frozen=True)
class StopSignal:
    """Stops the workers of one run. It can be pickled, and its copies are the same signal.

    Attributes:
        path: a file that is there, and empty, until the run is stopped.
    """

    path: Path

    @property
    def run(self) -> str:
        """The run's own name, which no other run has."""
        return self.path.name.rpartition("-")[2]

    def set(self) -> None:
        """Stop the run."""
        if not is_remote(self.path):
            try:
                self.path.unlink(missing_ok=True)
            except OSError:  # the folder's rights are lost, which is why the run ends perhaps
                with suppress(OSError):
                    self.path.write_bytes(b"stopped")
            return
        with _asking:
            _answers[self.path] = time.monotonic(), True
        with suppress(StoreRefused):  # workers elsewhere see the next run's beginning
            persistently(partial(self.path.unlink, missing_ok=True), self.path, patience=10)

    def is_set(self) -> bool:
        """Whether the run was stopped; costs one ``stat``.

        A store is asked every few seconds, whoever wants to know; if it does not answer, the run
        goes on.
        """
        if not is_remote(self.path):
            try:
                return self.path.stat().st_size > 0
            except FileNotFoundError:
                return True
        with _asking:
            asked, was_set = _answers.get(self.path, (float("-inf"), False))
            if was_set or time.monotonic() - asked < _ASK_EVERY:
                return was_set
            with suppress(StoreRefused):
                was_set = file_size(self.path) is None
            _answers[self.path] = time.monotonic(), was_set
            return was_set


@contextmanager
def stop_signal(data: DataFolder, command: str = "ingest", part: str = "") -> Iterator[StopSignal]:
    """The signal of a run that begins now and holds the data folder's lock.

    It is set when the block is left, in whatever way. Workers that outlived an earlier run, which
    was killed, are stopped as well: those of the same part, or all if this run has all the work.

    Args:
        command: ``ingest`` or ``shard``.
        part: which part of the work this run has (:attr:`fsh.pipeline.engine.parts.Part.name`).

    Raises:
        NoRoom: if there is no room for the signal's file.
    """
    for old in data.records.glob(data.run_file(command, f"{part}*").name):
        StopSignal(old).set()
    signal = StopSignal(data.run_file(command, f"{part}{uuid.uuid4().hex}"))
    with explaining_refusals(signal.path):
        if is_remote(signal.path):
            write_object(signal.path, b"")
        else:
            signal.path.touch()
    try:
        yield signal
    finally:
        signal.set()
