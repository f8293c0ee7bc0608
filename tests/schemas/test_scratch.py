"""Folders for what needs no place of its own."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fsh.pipeline.locks import locked
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.outputs import owned_output
from fsh.schemas.places.temporary import scratch_folder

_KILLED = """
import os, sys, tempfile
tempfile.tempdir = sys.argv[1]
from fsh.schemas.places.temporary import scratch_folder
with scratch_folder("beam") as folder:
    print(folder)
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("owned", ["data", "output"])
def test_what_a_killed_one_left_goes_though_the_next_has_nothing_to_do(
    tmp_path, monkeypatch, owned
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    subprocess.run([sys.executable, "-c", _KILLED, str(scratch)], capture_output=True, check=False)
    assert len([*scratch.iterdir()]) == 1
    with locked(DataFolder(tmp_path)) if owned == "data" else owned_output(tmp_path / "a", "train"):
        pass
    assert not [*scratch.iterdir()]


def test_what_was_still_held_when_a_command_began_is_removed_when_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    left = Path(told.strip())
    assert [*tmp_path.iterdir()] == [left]
    handle = os.open(left, os.O_RDONLY)  # as a child of the killed one that has yet to end
    fcntl.flock(handle, fcntl.LOCK_EX)
    with scratch_folder():
        assert left.exists()
        os.close(handle)
    assert not [*tmp_path.iterdir()]
