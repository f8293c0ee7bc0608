"""``fsh inspect``: look at what came out of ``fsh shard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsh.cli import console, options


def inspect(
    data: options.Data = "data",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; default DATA/inspect.html.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Clips with pictures at most.", min=1)] = 5000,
    only: options.Only = None,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Show a data set of any size: read it as it is looked at."),
    ] = False,
    host: Annotated[
        str,
        typer.Option(help="With --serve: where to listen; not 127.0.0.1 lets others in."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="With --serve; 0: 8737, or another if it is taken.", min=0)
    ] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Count what the data set holds, and make one HTML page to tune the filters by.

    The page stands alone (no network, no other files): every clip with its scores, kept or
    rejected; sliders over the filters with what would remain, and the `fsh shard` options to copy;
    search, and people beside their nearest neighbours. A click plays a clip with its landmarks.
    Arrows, Enter, / and V do it from the keyboard. Where the time of `fsh shard` went is drawn too.
    What is damaged is said, and the rest is shown;
    `fsh shard --check` reads everything. `--serve` shows a million clips, every frame and stored
    sound; it ends with Ctrl-C.

    Examples: `fsh inspect` and open `data/inspect.html` · `fsh inspect --serve` ·
    `fsh inspect --only language=English`
    """
    if serve:
        from fsh.clip_pages import serve_clips

        def opened(address: str) -> None:
            console.err.print(f"{address}  (Ctrl-C ends)", markup=False, soft_wrap=True)

        serve_clips(data, host=host, port=port, only=tuple(only or ()), opened=opened)
        return
    from fsh.dataset import inspect as write_page

    with console.progress(quiet) as bar:
        counts = write_page(data, output, limit=limit, only=tuple(only or ()), progress=bar)
    console.show_result(counts, as_json=json, title="Data set")
