"""``fsh inspect``: look at what came out of ``fsh shard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsh.cli import console, options


def inspect(
    data: options.Data = Path("data"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; default DATA/inspect.html.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Clips shown at most.", min=1)] = 200,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Count what the data set holds, and make one HTML page that shows the faces.

    The page stands alone (no network, no other files): counts by split, rejects by reason, score
    histograms, and frames of every clip with its landmarks. What is damaged is said, and the rest
    is shown; `fsh shard --check` reads everything.

    Example: `fsh inspect` and open `data/inspect.html`
    """
    from fsh.dataset import inspect as write_page

    with console.progress(quiet) as bar:
        counts = write_page(data, output, limit=limit, progress=bar)
    console.show_result(counts, as_json=json, title="Data set")
