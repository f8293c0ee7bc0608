"""The loader: batches decoded ahead, by a thread or by processes, always in the same order."""

from __future__ import annotations

import queue
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader

from fsh.schemas.errors import FshError
from fsh.trainer.data.episodes import Batch, EpisodeStream
from fsh.trainer.data.loader_processes import begin, sockets_kept, starting

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
    return map(_raised, _watched(_from_processes(stream, workers, pin)))


def _from_processes(stream: EpisodeStream, workers: int, pin: bool) -> Iterator[Batch | FshError]:
    with sockets_kept():
        made = DataLoader(
            stream,
            batch_size=None,
            num_workers=workers,
            worker_init_fn=begin,
            prefetch_factor=4,
            collate_fn=_unchanged,
            pin_memory=pin,
            # Otherwise it draws from the one that the training draws from, at every start anew.
            generator=torch.Generator(),
            multiprocessing_context="spawn",
        )
        with starting():
            batches = iter(made)
        try:
            yield from batches
        finally:
            del batches  # which ends the processes, before their sockets go


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
            yield from batches
        except (EOFError, ConnectionError) as error:
            if str(error).startswith("Caught "):  # by the process, which lives
                raise
            raise _lost() from error
        except OSError as error:
            if not str(error).startswith("Caught "):
                raise
            raise FshError(
                f"a process that decodes failed ({str(error).strip().splitlines()[-1]})",
                where=tempfile.gettempdir(),
                remedy="see that there is room, and that it can be written; then run again",
            ) from error


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
