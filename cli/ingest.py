"""``fsh ingest``: from a list of URLs to videos and where each came from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fsh.cli import console, options


def ingest(
    lists: Annotated[
        list[str],
        typer.Argument(help="Lists, folders, video files or URLs.", metavar="LIST…"),
    ],
    data: options.Data = "data",
    copy: Annotated[bool, typer.Option("--copy", help="Copy local files, not link them.")] = False,
    license: Annotated[
        str, typer.Option(help="any, or cc: only Creative Commons, unknown is refused.")
    ] = "any",
    retry: Annotated[
        str, typer.Option(help="Try failed ones again: none, transient, permanent or all.")
    ] = "transient",
    rate: Annotated[
        float, typer.Option(help="Videos an hour from YouTube; 0: no limit.", min=0)
    ] = 300,
    workers: Annotated[
        int, typer.Option(help="Videos at a time; 0: 8 from the net, else one per core.", min=0)
    ] = 0,
    cookies: Annotated[
        Path | None, typer.Option(help="A cookies.txt for video sites that want a login.")
    ] = None,
    cookies_from_browser: Annotated[
        str, typer.Option(help="Take a browser's cookies: firefox, chrome, edge … [:PROFILE].")
    ] = "",
    proxy: Annotated[
        str,
        typer.Option(
            help="Proxy for everything but this machine, such as socks5h://host:1080; default: "
            "the system's.",
            show_default=False,
        ),
    ] = "",
    max_height: Annotated[
        int, typer.Option(help="Lines of the largest picture, where a site has a choice.", min=1)
    ] = 1080,
    ranges: Annotated[
        bool,
        typer.Option("--ranges", help="Of videos on sites, fetch only the ranges in the lists."),
    ] = False,
    only: options.Only = None,
    yt_dlp_options: Annotated[
        str, typer.Option(help="Further options of yt-dlp, in one text.", metavar="TEXT")
    ] = "",
    runner: options.Runner = None,
    part: options.Part = None,
    max_failures: Annotated[
        float, typer.Option(help="Share of failed requests above which the exit status is 1.")
    ] = 0.5,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the lists and say what would be done.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fetch or link the videos of a list, and record where each came from.

    A list is recognised by its shape: one URL or path per line; CSV, TSV, Parquet or JSON with
    `url` and perhaps `start`, `end`, `identity`, `bbox`, labels; VoxCeleb's metadata CSV or tree
    of text files; AVSpeech's CSV; the JSON of TalkVid, CelebV-HQ and CelebV-Text; HDTF's text
    files; a folder; a channel or playlist. Run it again: only what is missing is done.

    An engine's own flags come last, after the lists.

    Examples: `fsh ingest urls.txt` · `fsh ingest talks/ --copy` · `fsh ingest vox.csv --dry-run` ·
    `fsh ingest talkvid.json --only language=English --ranges` ·
    `fsh ingest vox.csv --runner dask --dask_scheduler_file cluster.json`
    """
    lists, flags = split_flags(lists, sys.argv)
    if flags and not runner:
        raise typer.BadParameter(f"unknown {' '.join(flags)} (engines' flags need --runner)")
    if not lists:
        raise typer.BadParameter("no list: lists come first, an engine's flags last")

    from fsh.dataset_making import ingest as run_ingest
    from fsh.dataset_making import plan_ingest
    from fsh.pipeline.ingest.report import TooManyFailures

    chosen: dict[str, Any] = {
        "copy": copy,
        "license": license,
        "retry": retry,
        "rate": rate,
        "workers": workers,
        "cookies": cookies,
        "cookies_from_browser": cookies_from_browser,
        "proxy": proxy,
        "yt_dlp_options": yt_dlp_options,
        "max_height": max_height,
        "ranges": ranges,
        "only": tuple(only or ()),
        "runner": runner,
        "flags": tuple(flags),
        "part": part,
        "max_failures": max_failures,
    }
    if not quiet:
        shown: dict[str, Any] = {"data": data, "copy": copy, "license": license, "retry": retry}
        shown |= {"youtube_per_hour": f"{rate:g}", "max_height": max_height, "ranges": ranges}
        console.show_settings("ingest", shown | ({"only": " ".join(only)} if only else {}))
    if dry_run:
        plan = plan_ingest(lists, data, **chosen)
        console.show_result(plan.to_json(), as_json=json, title="Would ingest")
        return
    with console.progress(quiet) as bar:
        try:
            report = run_ingest(lists, data, **chosen, progress=bar)
        except TooManyFailures as failure:
            console.show_result(failure.report.to_json(), as_json=json, title="Ingested")
            raise
    console.show_result(report.to_json(), as_json=json, title="Ingested")


def split_flags(words: list[str], argv: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Lists, and the flags that fsh does not know, with their values.

    Args:
        words: what is left of the command line. argv: all of it; what comes after ``--`` is a list.

    Raises:
        typer.BadParameter: if there is a list after a flag and its value.
    """
    named = [*argv[argv.index("--") + 1 :]] if "--" in argv else []
    words = words[: len(words) - len(named)]
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    lists, flags = [*words[:first], *named], words[first:]
    value_due = False
    for word in flags:
        if not word.startswith("-") and not value_due:
            raise typer.BadParameter(f"{word}: lists come first, an engine's flags last")
        value_due = word.startswith("-") and "=" not in word
    return lists, flags
