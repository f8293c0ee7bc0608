"""Standard streams that are closed or full: the work is done, and no traceback is shown."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fsh.cli.app import failure_line


def run(folder: Path, redirection: str, *flags: str) -> subprocess.CompletedProcess[str]:
    words = ["ingest", "list.txt", "--data", "data", "--dry-run"]
    command = shlex.join([sys.executable, *flags, "-m", "fsh.cli", *words])
    (folder / "list.txt").write_text("https://h.org/a.mp4\n")
    return subprocess.run(
        ["sh", "-c", f"{command} --json {redirection}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- >&-"])
def test_closed_streams(tmp_path, redirection):
    done = run(tmp_path, redirection)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert ('"rows": 1' in done.stdout) == (">&-" not in redirection.replace("2>&-", ""))


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_closed_for_no_child_either(redirection):
    child = "import os; [os.fstat(number) for number in range(3)]"
    script = (
        "import subprocess, sys; from fsh.cli.streams import open_missing_streams; "
        f"open_missing_streams(); sys.exit(subprocess.call([sys.executable, '-c', {child!r}]))"
    )
    command = f"{shlex.join([sys.executable, '-c', script])} {redirection}"
    assert subprocess.run(["sh", "-c", command], timeout=600).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_output_is_named_as_such(tmp_path):
    done = run(tmp_path, "> /dev/full")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("fsh: ")]
    assert done.returncode == 1 and "standard output: the result cannot be written" in line


def test_python_without_texts_is_refused_in_one_line(tmp_path):
    done = run(tmp_path, "", "-OO")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "fsh: Apache Beam needs what Python leaves out with -OO → unset PYTHONOPTIMIZE"
    ]
    assert run(tmp_path, "", "-O").returncode == 0


def test_a_library_that_there_is_no_memory_for():
    error = ImportError("/x/_rust.abi3.so: failed to map segment from shared object")
    assert failure_line(error).startswith("not enough memory")
    assert failure_line(ImportError("no module")).startswith("internal error")
