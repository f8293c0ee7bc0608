"""Who works in a place: the second is told, the dead are no obstacle."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from scripts import started

from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import output_lock
from fsh.schemas.places.outputs import (
    owned_output,
    owned_outputs,
    owned_run,
)
from fsh.schemas.places.run_layout import RunFolder

OWN = """
    import sys, time
    from pathlib import Path
    from fsh.schemas.places.run_layout import RunFolder
    from fsh.schemas.places.outputs import owned_output, owned_run
    place, kind = Path(sys.argv[1]), sys.argv[2]
    with owned_run(RunFolder(place)) if kind == "run" else owned_output(place, kind):
        print("there", flush=True)
        time.sleep(600)
"""


def test_the_second_is_told_who_is_at_work_and_a_dead_owner_is_no_obstacle(tmp_path):
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    film, run = tmp_path / "out.mp4", RunFolder(tmp_path / "run")
    owner = started(OWN, film, "animate")
    trainer = started(OWN, run.root, "run")
    for path in (film, tmp_path / "linked" / "out.mp4"):
        with (
            pytest.raises(FshError, match=r"another animate is at work here since \d{4}-") as told,
            owned_outputs([tmp_path / "free.mp4", path], "animate"),
        ):
            pass
        assert f"pid {owner.pid} on {socket.gethostname()}" in str(told.value)
    with pytest.raises(FshError, match=rf"another train .*pid {trainer.pid} "), owned_run(run):
        pass
    for process in (owner, trainer):
        process.kill()
        process.communicate()
    with owned_output(film, "animate"), owned_run(run):
        assert output_lock(film).exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["linked", "run"]
    assert list(run.root.iterdir()) == []


def test_a_forked_child_does_not_hold_what_its_parent_held(tmp_path):
    """As loaders of a killed training run, which live on for seconds."""
    with owned_output(tmp_path / "a", "train"):
        child = os.fork()
        if not child:
            signal.pause()
            os._exit(0)
    try:
        with owned_output(tmp_path / "a", "train"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_an_owner_leaves_no_folders_behind_that_nothing_was_written_to(tmp_path):
    with pytest.raises(FshError, match="no face"), owned_output(tmp_path / "a" / "b" / "c", "x"):
        raise FshError("no face")
    assert list(tmp_path.iterdir()) == []
