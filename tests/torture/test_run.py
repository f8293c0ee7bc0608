"""What ``make torture`` tells of its parts."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def script():
    """``run.py`` as a module."""
    spec = importlib.util.spec_from_file_location("torture_run", HERE / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def torture(script, tmp_path, monkeypatch):
    """It with parts of this test's own: name to what each of them does; its exit status."""
    monkeypatch.setattr(script, "HERE", tmp_path)

    def main(**scripts: str) -> int:
        for name, text in scripts.items():
            (tmp_path / f"{name}.py").write_text(text)
        found = [(name, [f"{name}.py"]) for name in scripts]
        monkeypatch.setattr(script, "parts", lambda minutes, out: found)
        monkeypatch.setattr(sys, "argv", ["run.py", f"--out={tmp_path / 'out'}"])
        with pytest.raises(SystemExit) as end:
            script.main()
        assert isinstance(end.value.code, int)
        return end.value.code

    return main


def reports(**found: object) -> str:
    return f"print('a word before'); print({json.dumps(found)!r})"


def test_all_parts_survive(torture, capsys):
    assert torture(a=reports(faults=[]), b=reports(ingest={"tries": 2, "faults": []})) == 0
    assert capsys.readouterr().out.endswith("all of it survived\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (reports(findings={"KeyError at lists.py:5": "'x'"}), "KeyError at lists.py:5: 'x'"),
        (reports(faults=["2 files, 1 rows"]), "2 files, 1 rows"),
        (reports(train={"faults": ["differs: loss"]}), "train: differs: loss"),
        ("raise SystemExit('no room')", "exit status 1: no room"),
        (reports(faults=[]) + "; raise SystemExit(3)", "exit status 3: "),
        ("print('no report')", "exit status 0: "),
        ("import os; os.abort()", "exit status -6: "),
        ("", "exit status 0: "),
    ],
)
def test_a_part_that_fails_costs_no_other_and_is_named_again_at_the_end(
    torture, capsys, text, told
):
    assert torture(good=reports(faults=[]), bad=text, after=reports(faults=[])) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"  did not survive: {told}" in lines
    assert [line for line in lines if line.startswith("after: ")]
    assert lines[-1] == "did not survive: bad"


def test_what_a_part_says_meanwhile_is_kept(torture, tmp_path):
    at_work = "import sys; print('at work', file=sys.stderr); "
    assert torture(a=at_work + reports(faults=[])) == 0
    assert (tmp_path / "out" / "a.log").read_text() == "at work\n"


def test_what_cannot_be_tried_here_is_said(torture, capsys):
    locked = {"tries": 0, "faults": [], "left out": "chattr as root"}
    here = reports(ingest={"faults": [], "by": {"kill": {"tries": 1}, "locked": locked}})
    assert torture(disk=reports(**{"left out": "mounts"}), faults=here) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  left out: mounts" in lines
    assert "  left out: ingest: locked: chattr as root" in lines


def test_every_part_is_a_script_and_the_shares_leave_time_for_the_rest(script):
    names = [command[0] for _, command in script.parts(60, Path("out"))]
    assert all((HERE / name).is_file() for name in names)
    assert script.FUZZING + script.KILLS + script.OTHER + script.DISK < 0.9


def test_the_number_of_commands_is_that_of_the_table():
    same = "import commands, run; assert len(commands.COMMANDS) == run.COMMANDS"
    subprocess.run([sys.executable, "-c", same], cwd=HERE, check=True)
