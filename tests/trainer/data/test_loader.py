"""Processes that decode for a training, started from whatever script a user has."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from tiny_run import tiny_folder
from torch.utils.data import DataLoader, IterableDataset

from fsh.trainer.data.loader_processes import _interrupts_held, begin

_SCRIPT = """
from pathlib import Path
from tiny_run import Told, tiny_config
from fsh.schemas.places.layout import DataFolder
from fsh.trainer.training.loop import train

print("begun", flush=True)
train(DataFolder(Path("data")), Path("run"), tiny_config(steps=2, workers=2), Told())
print("trained", __name__, flush=True)
"""


def _told_by_a_process(pipe) -> None:
    pipe.send(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_ctrl_c_cannot_end_a_process_that_has_only_begun():
    """It reaches every process of a terminal; what still imports could not say what it means."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_told_by_a_process, args=(there,))
    with _interrupts_held():
        process.start()
    assert here.poll(300) and here.recv()
    process.join()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


class _Aborting(IterableDataset):
    """Its process would abort while its Python is taken down."""

    def __init__(self) -> None:
        self.batches = torch.ones(3)

    def __setstate__(self, state: dict) -> None:
        self.__dict__ |= state
        atexit.register(os.abort)

    def __iter__(self):
        yield from self.batches


def test_a_process_that_would_abort_at_its_end_does_not():
    options = {"batch_size": None, "worker_init_fn": begin, "multiprocessing_context": "spawn"}
    batches = iter(DataLoader(_Aborting(), num_workers=1, **options))
    assert len(list(batches)) == 3
    (process,) = batches._workers
    del batches
    process.join()
    assert process.exitcode == 0


def test_a_script_without_a_guard_is_not_run_again_by_what_decodes(tmp_path):
    tiny_folder(tmp_path / "data")
    (tmp_path / "script.py").write_text(_SCRIPT)
    helpers = str(Path(__file__).parents[2] / "helpers")
    found = os.pathsep.join([helpers, *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": found},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.stdout.split("\n") == ["begun", "trained __main__", ""], done.stderr[-2000:]
