"""The loader: batches decoded ahead, by a thread or by processes, always in the same order."""

from __future__ import annotations

import multiprocessing
import os
import queue
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.util import get_temp_dir
from types import ModuleType
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader

from fsh.schemas.errors import FshError
from fsh.trainer.data.episodes import Batch, EpisodeStream

#: PyTorch's words for a process that it has lost; it names no reason.
_LOST = re.compile(r"DataLoader worker .*(killed by signal|exited unexpectedly)")


def loader(stream: EpisodeStream, workers: int, *, pin: bool = False) -> Iterator[Batch]:
    """The stream's batches in a fixed order, decoded ahead by ``workers`` processes.

    0 workers decode in a thread of this process, which is enough on a CPU: decoders release the
    interpreter's lock while they work. Processes are started afresh, never forked from this one,
    whose thread pools would be dead and locked in a fork.

    An FshError of the stream is raised here, whoever decodes, and so is one if such a process is
    killed.

    Args:
        pin: hand out batches in page-locked memory, for copies to a GPU.
    """
    if workers == 0:
        return _prefetched(stream.batches())
    batches = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_start_worker,
        prefetch_factor=4,
        collate_fn=_unchanged,
        pin_memory=pin,
        # Otherwise it draws from the one that the training draws from, at every start anew.
        generator=torch.Generator(),
        multiprocessing_context="spawn",
    )
    return map(_raised, _watched(batches))


def _prefetched(batches: Iterator[Batch], depth: int = 2) -> Iterator[Batch]:
    """The same batches, made by a thread that stays up to ``depth`` ahead."""
    made: queue.Queue[Batch | BaseException] = queue.Queue(depth)
    closed = threading.Event()

    def work() -> None:
        item: Batch | BaseException
        while not closed.is_set():
            try:
                item = next(batches)
            except BaseException as error:  # handed over, raised where the batch is wanted
                item = error
            while not closed.is_set():
                try:
                    made.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if isinstance(item, BaseException):
                return

    thread = threading.Thread(target=work, name="decode", daemon=True)
    thread.start()
    try:
        while True:
            item = made.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()  # an interpreter that ends under a thread inside OpenCV aborts


@contextmanager
def explaining_lost_loaders() -> Iterator[None]:
    """Tell in the user's words that a process which decodes was killed.

    PyTorch raises that from the handler of a signal, wherever the training is at that moment.
    """
    try:
        yield
    except RuntimeError as error:
        if not _LOST.search(str(error)):
            raise
        raise _lost() from error


def _watched(batches: Iterable[Batch | FshError]) -> Iterator[Batch | FshError]:
    """The same; what follows from a process that was killed is raised as that.

    It may have been about to start, or have left a batch of which only it knew the place.
    """
    with explaining_lost_loaders():
        try:
            with _script_not_run_again(), _interrupts_held():
                started = iter(batches)
            yield from started
        except (EOFError, ConnectionError) as error:
            if str(error).startswith("Caught "):  # by the process, which lives
                raise
            raise _lost() from error


@contextmanager
def _script_not_run_again() -> Iterator[None]:
    """Processes that are started meanwhile do not import the script that trains.

    Python does that for what may be defined there; nothing of it is needed, and a script without
    ``if __name__ == "__main__":`` would begin the training again in each of them.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C meanwhile comes afterwards, and never to processes that are started meanwhile.

    They inherit that it is blocked: while they import what they need, nothing else would hold it
    off.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # or it is started below, and unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _lost() -> FshError:
    return FshError(
        "a process that decodes for the training was killed",
        remedy="the same command goes on from the last checkpoint; where memory ran out, close "
        "other programs first",
    )


def _raised(item: Batch | FshError) -> Batch:
    """A batch; an error that a process handed out in its place is raised here."""
    if isinstance(item, FshError):
        raise item
    return item


def _unchanged(batch: Any) -> Any:
    """A batch as the stream made it: PyTorch's default turns its tuples of names into lists."""
    return batch


def _start_worker(_: int) -> None:
    threading.Thread(target=_end_with_training, daemon=True).start()
    # Ctrl-C reaches every process of a terminal; the training process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _end_with_training() -> None:
    """End once the training is killed: PyTorch's processes do not always notice it, because they
    may wait for somebody to take what they have made."""
    training = multiprocessing.parent_process()
    assert training is not None
    wait([training.sentinel])
    shutil.rmtree(get_temp_dir(), ignore_errors=True)  # of this process alone
    os._exit(1)
