"""What engines raise, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsh.pipeline.engine.failures import told_in_one_line
from fsh.pipeline.media.probe import NotAVideo
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.stores import StoreRefused

DATA = Path("/shared/set")
#: What Prism passes on of an error in a worker, shortened.
TRACEBACK = """bundle inst002 stage-001 failed:Traceback (most recent call last):
  File "common.py", line 1498, in process
  File "workers.py", line 60, in setup
    self._ticket.check(binary)
fsh.schemas.errors.FshError: worker node7 (pid 12) has another fsh → install the same [while \
running 'Find and crop clips']
"""


def line(error: Exception, runner: str | None = "dask", flags: tuple[str, ...] = ()) -> str:
    told = told_in_one_line(error, DATA, runner, flags)
    assert isinstance(told, FshError) and "\n" not in str(told)
    return str(told)


def test_an_error_of_fsh_is_itself_wherever_it_hides():
    known = FshError("no room in the tray", where="a.mp4", remedy="empty it")
    assert told_in_one_line(known, DATA, None) is known
    wrapped = RuntimeError("engine says no")
    wrapped.__cause__ = known
    assert told_in_one_line(wrapped, DATA, "dask") is known
    expected = "worker node7 (pid 12) has another fsh → install the same"
    assert line(RuntimeError(TRACEBACK), "portable") == expected
    assert line(RuntimeError(repr(TRACEBACK)), "portable") == expected
    for kind in (StoreRefused, NotAVideo):  # wherever its class is
        name = f"{kind.__module__}.{kind.__name__}"
        text = TRACEBACK.replace("fsh.schemas.errors.FshError", name)
        assert line(RuntimeError(text), None) == expected


@pytest.mark.parametrize(
    ("text", "flags", "told"),
    [
        ("No module named 'fsh'", (), "workers of dask have no fsh → install the same fsh"),
        ("No module named 'apache_beam'", (), "workers of dask have no apache_beam → install"),
        (
            "failed to connect to all addresses; last error: UNAVAILABLE",
            ("--job_endpoint", "head:8099"),
            "dask does not answer at head:8099; what is finished stays",
        ),
        (
            "didn't get control connection to localhost:8073 after 1m0s",
            ("--job_endpoint=head:1",),
            "dask does not answer at head:1",
        ),
        (
            "Attempted to run task on 4 workers KilledWorker",
            (),
            "dask lost its workers, or they their scheduler, and gave up",
        ),
        ("something else\nat the end", (), "dask gave up (RuntimeError: at the end)"),
    ],
)
def test_others_say_what_stands_and_what_to_run(text, flags, told):
    said = line(RuntimeError(text), flags=flags)
    assert said.startswith(told)
    assert "have no" in said or "run the same command again and it goes on" in said


def test_a_full_disk_is_one_and_a_bug_on_this_machine_stays_a_bug():
    assert isinstance(
        told_in_one_line(OSError(28, "No space left on device"), DATA, "dask"), NoRoom
    )
    bug = ZeroDivisionError("a bug")
    assert told_in_one_line(bug, DATA, None) is bug
