"""What commands print: names exactly, on a terminal, in a pipe and as JSON."""

from __future__ import annotations

import json
import os
import re
from types import SimpleNamespace

import pytest
from command import fsh
from rich.console import Console

from fsh.cli import console

NAME = "[red]a[/]  :heart: \n|`x`<i> %s {0}"
SEEN = "[red]a[/]  :heart: \\n|`x`<i> %s {0}"


@pytest.fixture(params=[False, True], ids=["pipe", "terminal"])
def printed(request, monkeypatch, tmp_path):
    """A function that gives all that was printed."""
    file = (tmp_path / "printed").open("w+")
    plain = Console(file=file, force_terminal=request.param, width=70, **console._PLAIN)
    monkeypatch.setattr(console, "err", plain)
    if request.param:  # a pipe's table is printed by a console as wide as the table
        monkeypatch.setattr(console, "out", plain)

    def read() -> str:
        file.flush()
        return (tmp_path / "printed").read_text()

    return read


def test_messages_settings_and_progress(printed):
    bar = console.ProgressBar()
    bar.say(f"left out {SEEN}")
    console.show_settings("title", {"photos": NAME})
    bar.start(f"finding the face in {NAME}", 3, "frame")
    bar.advance(note=NAME)
    bar.stop()
    assert f"left out {SEEN}\n" in printed()
    assert f'photos="{SEEN}"\n' in printed()


def test_a_progress_bar_takes_no_name_for_markup(printed):
    bar = console.ProgressBar()
    bar.start("[/] [red]", None, "[/]x")
    bar.advance(note="[/] [bold]")
    bar.stop()


def test_progress_never_passes_its_end(printed, monkeypatch):
    """A total may be an estimate: frames of a file that states too few."""
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    bar = console.ProgressBar()
    for total, done in ((3, 0), (10, 12), (0, 0)):
        bar.start("frames", total, "frame", done=done)
        for _ in range(5):
            bar.advance()
        bar.stop()
    text = printed()
    assert all(int(percent) <= 100 for percent in re.findall(r"(\d+) %", text))
    assert not re.search(r"-\d+ s left", text)


def test_no_time_left_is_told_before_it_can_be_known(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: now[0]))
    bar = console.ProgressBar()
    bar.start("videos", 100, "s of video")
    for seconds, done in ((6, 0.01), (12, 30), (18, 30)):
        now[0] = 100 + seconds
        with console.err.capture() as told:
            bar.advance(done)
        line = told.get().strip()
        assert ("left" in line) == (seconds > 6), line


def test_results_in_a_pipe_have_whole_names(capsys):
    long = "/x" * 200 + NAME
    console.show_result({"folder": long, "counts": {NAME: 3}}, as_json=False, title=f"Film: {NAME}")
    out = capsys.readouterr().out
    assert "/x" * 200 + SEEN in out and f'"{SEEN}": 3' in out and f"Film: {SEEN}" in out


def test_json_keeps_names_that_are_no_utf_8(capsys):
    name = os.fsdecode(b"a\xff\n")
    console.show_result({"folder": name, "left_out": [name]}, as_json=True, title="")
    out = capsys.readouterr().out
    out.encode()
    assert json.loads(out) == {"folder": name, "left_out": [name]}


@pytest.mark.parametrize("name", [NAME, " x ", "-x", "~nobody", os.fsdecode(b"\xff"), "%s", "a:b"])
def test_the_last_line_of_a_command_names_what_was_given(tmp_path, name):
    done = fsh("verify", "--json", "--", name, cwd=tmp_path)
    assert json.loads(done.stdout)["files"][0]["file"] == name
    if name == "a:b":  # there is no such file: a URL, for a list
        return
    done = fsh("ingest", "--data", "d", "--", name, cwd=tmp_path)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("fsh: ")]
    seen = name.replace("\n", "\\n").replace("\udcff", "\\xff")
    assert done.returncode == 1 and seen in line and "internal" not in line
