"""The options that several commands share, described once, and what their defaults mean."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from fsh.schemas.errors import FshError

Data = Annotated[Path, typer.Option("--data", help="The data folder.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Workers = Annotated[int, typer.Option(help="Parallel workers; 0: one per core.", min=0)]
Runner = Annotated[
    str | None,
    typer.Option(help="A Beam runner (FlinkRunner, SparkRunner, DataflowRunner); default: here."),
]
Landmarks = Annotated[
    str, typer.Option(help="Landmark backend: auto, fan (the paper's) or dlib (offline).")
]


def core_count(workers: int) -> int:
    """The number of workers that ``--workers`` means."""
    if workers:
        return workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def newest(
    folder: Path,
    marker: str,
    *,
    what: str,
    remedy: str,
    meant: Callable[[Path], bool] = lambda _: True,
) -> Path:
    """The subfolder whose ``marker`` file was written last: the run or person meant by default.

    Args:
        meant: whether a subfolder may be it.

    Raises:
        FshError: if there is none.
    """
    found = [p for p in folder.glob(f"*/{marker}") if p.is_file() and meant(p.parent)]
    if not found:
        raise FshError(f"no {what} here", where=folder, remedy=remedy)
    return max(found, key=lambda path: path.stat().st_mtime).parent


def newest_run(runs: Path) -> Path:
    """The training run written last, alternatives to fsh's own networks left aside.

    Raises:
        FshError: if there is none.
    """
    remedy = "run `fsh train` first"
    return newest(runs, "metrics.jsonl", what="training run", remedy=remedy, meant=_is_of_fsh)


def _is_of_fsh(run: Path) -> bool:
    try:
        config = json.loads((run / "config.json").read_text())
    except (OSError, ValueError):  # whoever opens the run says what is wrong with it
        return True
    return config.get("method", "fsth") == "fsth"
