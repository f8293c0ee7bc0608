"""Two trainings in one folder, as processes."""

from __future__ import annotations

import signal

from scripts import python, wait_for
from tiny_run import tiny_folder

from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.places.temporary import is_temporary
from fsh.trainer.checkpoint import list_checkpoints

TRAIN = """
    import os, signal, sys
    from pathlib import Path
    from tiny_run import Told, tiny_config
    from fsh.schemas.places.layout import DataFolder
    from fsh.trainer import checkpoint
    from fsh.trainer.training.loop import train
    steps, kill = int(sys.argv[1]), sys.argv[2] == "kill"
    save = checkpoint.save_file
    def killed(tensors, path):
        save(tensors, path)
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
    checkpoint.save_file = killed
    config = tiny_config(steps=steps, checkpoint_every=2)
    train(DataFolder(Path("data")), Path("run"), config, Told())
"""


def test_two_trainings_in_one_folder(tmp_path):
    """The second is refused; when the first is killed its lock and its half checkpoint go."""
    tiny_folder(tmp_path / "data")
    run = RunFolder(tmp_path / "run")
    first = python(TRAIN, 100_000, "no", cwd=tmp_path)
    wait_for(run.checkpoints)
    second = python(TRAIN, 100_000, "no", cwd=tmp_path)
    _, errors = second.communicate()
    assert second.returncode == 1 and "another train is at work here since" in errors
    assert f"pid {first.pid}" in errors
    first.kill()
    first.communicate()
    done = max(step for step, _ in list_checkpoints(run))
    for _ in range(2):
        third = python(TRAIN, done + 2, "kill", cwd=tmp_path)
        _, errors = third.communicate()
        assert third.returncode == -signal.SIGKILL, errors
        assert sum(is_temporary(path.name) for path in run.checkpoints.iterdir()) == 1
    last = python(TRAIN, done + 2, "no", cwd=tmp_path)
    _, errors = last.communicate()
    assert last.returncode == 0, errors
    assert max(step for step, _ in list_checkpoints(run)) == done + 2
    assert not list(run.root.rglob(".*"))
