"""A program that is asked to end: what it clears away, what it says, how it exits."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

#: Seconds that anything may take before a test gives up on it.
PATIENCE = 240
#: The program itself; only the command is another one.
PROGRAM = """
import sys, time
from fsh.cli import app, commands

def work(seconds=600):
    print("at work", flush=True)
    time.sleep(seconds)

def command(prog_name):
    try:
        {work}
    finally:
        open("cleared away", "w").close()

commands.app = command
app.run()
"""
PLAIN = "work()"
#: What libraries make of an interruption.
WRAPPED = """
        try: work()
        except BaseException as error: raise RuntimeError('worker failed') from error
"""


@pytest.fixture(autouse=True)
def signals_reach_children():
    """Whoever runs these tests may have begun them by nohup, or behind: children would inherit what
    that ignores."""
    ignored = [n for n in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def started(work: str, folder: Path, *before: str) -> subprocess.Popen:
    words = [*before, sys.executable, "-c", PROGRAM.format(work=work)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, cwd=folder, text=True, **pipes)
    assert process.stdout and process.stdout.readline() == "at work\n"
    return process


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("work", [PLAIN, WRAPPED], ids=["plain", "wrapped"])
def test_it_clears_away_and_says_one_line(tmp_path, name, work):
    number = getattr(signal, name)
    process = started(work, tmp_path)
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert said == "fsh: stopped; run the same command again to go on\n"
    assert process.returncode == 128 + number
    assert (tmp_path / "cleared away").exists()


def test_it_ends_though_clearing_away_takes_long_if_it_is_asked_again(tmp_path):
    clearing = "print('clearing away', flush=True); time.sleep(600)"
    process = started(f"\n        try: work()\n        finally: {clearing}", tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.stdout and process.stdout.readline() == "clearing away\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 128 + signal.SIGINT


def test_a_terminal_that_closes_does_not_end_what_nohup_began(tmp_path):
    process = started("work(0.5); sys.exit(0)", tmp_path, "nohup")
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE) == 0


def test_a_command_that_came_to_its_end_all_the_same_has_succeeded(tmp_path):
    work = "\n        try: work()\n        except KeyboardInterrupt: sys.exit(0)"
    process = started(work, tmp_path)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, "")


def test_it_is_told_while_the_commands_are_being_loaded(tmp_path):
    code = (
        "import sys\n"
        "class Waiting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'fsh.cli.commands':\n"
        "            print('loading', flush=True); import time; time.sleep(600)\n"
        "sys.meta_path.insert(0, Waiting())\n"
        "from fsh.cli.app import run; run()"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code], text=True, **pipes)
    assert process.stdout and process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert said == "fsh: stopped; run the same command again to go on\n"
    assert process.returncode == 130
