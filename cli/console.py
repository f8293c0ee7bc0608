"""What the commands show: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from fsh.cli.streams import printing_result
from fsh.schemas.text import json_line, one_line, sentence, shown

#: No text is markup, because texts hold names of files.
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
#: Share of the work from which on the time left can be judged.
_TELLING = 0.01
err = Console(stderr=True, **_PLAIN)
out = Console(**_PLAIN)


class ProgressBar:
    """A :class:`fsh.schemas.progress.Progress` for terminals; plain lines where there is none."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._progress: Progress | None = None
        self._what, self._unit, self._note = "", "", ""
        self._total: float | None = None
        self._done, self._before, self._begun, self._printed = 0.0, 0.0, 0.0, 0.0

    def start(self, what: str, total: float | None, unit: str, done: float = 0) -> None:
        self.stop()
        self._what, self._unit, self._note = one_line(what), unit, ""
        self._total = None if total is None else max(total, done)
        self._done, self._before, self._begun = done, done, time.monotonic()
        self._printed = self._begun - 4  # the first line comes after a second, others every five
        if self._quiet or not err.is_terminal:
            return
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit, markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=err,
            transient=True,
        )
        self._progress.start()
        self._progress.add_task(self._what, total=self._total, completed=int(done), note="")

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._done += amount
        self._note = one_line(note) or self._note
        if self._total is not None and self._done > self._total:
            self._total = self._done  # it was an estimate: there is more than was thought
        if self._progress is not None:
            task = self._progress.task_ids[0]
            self._progress.update(task, advance=amount, total=self._total, note=self._note)
            return
        now = time.monotonic()
        if not self._quiet and now - self._printed >= 5:
            self._printed = now
            err.print(self._line(now - self._begun), soft_wrap=True)

    def say(self, line: str) -> None:
        if not self._quiet:
            err.print(sentence(line), soft_wrap=True)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _line(self, seconds: float) -> str:
        done = f"{self._done:,.0f}"
        if not self._total:
            return f"{self._what}: {done} {self._unit}, {seconds:.0f} s {self._note}".rstrip()
        new = self._done - self._before
        known = new >= _TELLING * (self._total - self._before) > 0
        left = f"{seconds * (self._total - self._done) / new:.0f} s left" if known else "…"
        percent = int(100 * self._done / self._total)  # 100 only when it is done
        whole = f"{done}/{self._total:,.0f} {self._unit}, {percent:.0f} %, {left}"
        return f"{self._what}: {whole} {self._note}".rstrip()


@contextmanager
def progress(quiet: bool = False):
    """A progress bar that is removed whatever happens."""
    bar = ProgressBar(quiet)
    try:
        yield bar
    finally:
        bar.stop()


def show_settings(title: str, settings: Mapping[str, object]) -> None:
    """Print a command's settings on stderr as it starts: no default acts unseen."""
    pairs = "  ".join(f"{name}={shown(value)}" for name, value in settings.items())
    err.print(Text.assemble((title, "bold"), f"  {pairs}"), soft_wrap=True)


def announcing(title: str, quiet: bool) -> Callable[[Mapping[str, object]], None] | None:
    """What prints a command's settings once they are known; None if nothing shall be shown."""
    return None if quiet else partial(show_settings, title)


def show_result(result: Mapping[str, object], *, as_json: bool, title: str) -> None:
    """Print a command's result on stdout: a table for people, or one JSON object."""
    with printing_result():
        _print_result(result, as_json, title)


def _print_result(result: Mapping[str, object], as_json: bool, title: str) -> None:
    if as_json:
        sys.stdout.write(json_line(result) + "\n")
        return
    table = Table(title=one_line(title), show_header=False, title_justify="left")
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in result.items():
        if isinstance(value, list):  # long; what matters of it was printed on stderr
            continue
        table.add_row(name.replace("_", " "), _text(value))
    if out.is_terminal:
        out.print(table)
        return
    # Whoever reads a file or a pipe looks for whole names: there is no width to keep to.
    wide = Measurement.get(out, out.options.update(width=100_000), table).maximum
    Console(width=max(wide, cell_len(one_line(title))), **_PLAIN).print(table)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{shown(k)}: {_text(v)}" for k, v in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return shown(value) if isinstance(value, str | Path) else str(value)
