"""The command line: help worth reading, errors in one line, documentation that is not stale."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import typer
from command import fsh
from places import ROOT

from fsh.cli.commands import app

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_help_imports_nothing_heavy():
    code = """
import sys
from fsh.cli.commands import app
heavy = {"torch", "apache_beam", "cv2", "dlib", "pyarrow", "av", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name):
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert "Example" in command.help and f"`fsh {name}" in command.help
    assert all(p.help for p in command.params if p.name != "help"), name


def test_every_command_is_in_the_documentation():

    text = (ROOT / "docs" / "commands.md").read_text()
    assert [name for name in COMMANDS if f"## `fsh {name}`" not in text] == []


def test_the_generated_documentation_is_fresh():
    """If this fails: make docs."""
    sys.path.insert(0, str(ROOT / "docs"))
    import generate  # type: ignore[import-not-found]

    for path, text in generate.pages().items():
        assert path.read_text() == text, f"{path.name} is stale: run `make docs`"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ingest", "nothing-here.txt"], "nothing-here.txt"),
        (["shard"], "run `fsh ingest"),
        (["inspect"], "run `fsh shard` first"),
        (["train"], "run `fsh shard` first"),
        (["personalize", "--photos", "nowhere"], "run `fsh train` first"),
        (["animate", "--driving", "none.mp4"], "run `fsh personalize` first"),
    ],
)
def test_a_foreseen_failure_is_one_line_that_says_what_to_do(tmp_path, arguments, words):
    done = fsh(*arguments, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("fsh: ") and words in last
    assert done.stdout == ""


def test_wrong_usage_is_status_2(tmp_path):
    assert fsh("train", "--no-such-option", cwd=tmp_path).returncode == 2
    assert fsh("shard", "--flink_master", "x", cwd=tmp_path).returncode == 2
    wrong = fsh("shard", "--filter", "max_text", cwd=tmp_path)
    assert wrong.returncode == 2 and "NAME=VALUE" in wrong.stderr
    unknown = fsh("shard", "--filter", "max_txt=1", "--landmarks", "dlib", cwd=tmp_path)
    assert unknown.returncode == 1 and "no filter 'max_txt'" in unknown.stderr


def test_doctor_reports_as_json():
    done = fsh("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["ffmpeg"]["ok"] and report["dlib models"]["ok"]


def test_time_left_is_judged_by_what_this_call_did(capsys, monkeypatch):
    from fsh.cli.console import ProgressBar

    clock = iter([0.0, 10.0, 10.0])
    # Of this module alone: whatever else looks at the time meanwhile takes none of these.
    monkeypatch.setattr("fsh.cli.console.time", SimpleNamespace(monotonic=lambda: next(clock)))
    bar = ProgressBar()
    bar.start("train", 100, "step", done=80)
    bar.advance(10)
    assert "90/100 step, 90 %, 10 s left" in capsys.readouterr().err
