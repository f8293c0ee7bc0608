"""How the processes of the loader begin, and how they end: with the training, whatever ends that.

They are started afresh (spawn). A fork server and what it starts would wait for each other's end,
for ever, once the training is killed.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import reduction, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.util import get_temp_dir
from pathlib import Path
from types import ModuleType

import cv2
import torch

from fsh.schemas.places.temporary import scratch_folder

#: Bytes of a socket's path, at most, and what multiprocessing adds to its folder's.
_LONGEST_SOCKET, _SOCKET_NAME = 107 if sys.platform == "linux" else 103, "/listener-abcdefgh"


@contextmanager
def starting() -> Iterator[None]:
    """Processes that are started meanwhile load undisturbed."""
    with _script_not_run_again(), _interrupts_held():
        yield


@contextmanager
def _script_not_run_again() -> Iterator[None]:
    """They do not import the script that trains.

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
    """Ctrl-C meanwhile comes afterwards, and never to them.

    It reaches every process of a terminal, and they inherit that it is blocked: while they import
    what they need, nothing else would hold it off.
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


@contextmanager
def sockets_kept() -> Iterator[None]:
    """Have multiprocessing keep its sockets, and those of the processes it starts, in a folder that
    is removed after a kill as well; what it makes itself then stays for good."""
    settings = vars(multiprocessing.current_process())["_config"]
    with scratch_folder("mp") as folder:
        ours = "tempdir" not in settings and len(f"{folder}{_SOCKET_NAME}") <= _LONGEST_SOCKET
        if ours:
            settings["tempdir"] = str(folder)
        try:
            yield
        finally:
            if ours:
                del settings["tempdir"]


def begin(_: int) -> None:
    """What such a process does first."""
    threading.Thread(target=_end_with_training, daemon=True).start()
    # Python that is taken down under threads of native libraries aborts at times, which the
    # training would take for a process that was killed. What there is to hand over has been.
    atexit.register(os._exit, 0)
    # The training process decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _open_socket()


def _open_socket() -> None:
    """Open the socket by which tensors are handed over. Without it a batch is lost on its way,
    unsaid, and waited for for ever; here it fails at once, and is told."""
    if torch.multiprocessing.get_sharing_strategy() == "file_descriptor":
        with Path(os.devnull).open("rb") as anything:
            reduction.DupFd(anything.fileno())


def _end_with_training() -> None:
    """End once the training is killed: PyTorch's processes do not always notice it, because they
    may wait for somebody to take what they have made."""
    training = multiprocessing.parent_process()
    assert training is not None
    wait([training.sentinel])
    shutil.rmtree(get_temp_dir(), ignore_errors=True)
    os._exit(1)
