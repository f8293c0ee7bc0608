"""``fsh shard``: from videos to tar shards of faces with landmarks."""

from __future__ import annotations

from typing import Annotated

import typer

from fsh.cli import console, options


def shard(
    context: typer.Context,
    data: options.Data = "data",
    landmarks: options.Landmarks = "auto",
    size: Annotated[int, typer.Option(help="Side of a stored crop, pixels.", min=32)] = 256,
    max_fps: Annotated[float, typer.Option(help="Frames kept per second at most.")] = 25.0,
    audio: Annotated[bool, typer.Option("--audio", help="Keep each sample's sound.")] = False,
    min_face: Annotated[
        float | None, typer.Option(help="Smallest face kept, source pixels.")
    ] = None,
    min_seconds: Annotated[float | None, typer.Option(help="Shortest clip kept.")] = None,
    text: Annotated[
        bool,
        typer.Option(
            "--text", help="Look for text over the face (column text_overlap); needs fsh[text]."
        ),
    ] = False,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Threshold of a filter, such as max_text=0.02 (docs/data.md has them all); "
            "can be given several times.",
        ),
    ] = None,
    only: options.Only = None,
    workers: options.Workers = 0,
    runner: options.Runner = None,
    part: options.Part = None,
    mode: Annotated[
        str, typer.Option(help="Local run: in_memory, multi_threading or multi_processing.")
    ] = "multi_threading",
    retry: Annotated[
        bool, typer.Option("--retry", help="Work again on videos that crashed or hung.")
    ] = False,
    video_timeout: Annotated[
        float | None, typer.Option(help="Seconds allowed per second of video.")
    ] = None,
    max_failures: Annotated[
        float | None, typer.Option(help="Share of failed videos above which the exit is 1.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Only compare shards and table with the card: SHA-256 and every sample; exit 1 "
            "if anything differs.",
        ),
    ] = False,
    check_frames: Annotated[
        bool, typer.Option("--check-frames", help="The same, and decode every frame.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find shots, faces and landmarks in the ingested videos; write WebDataset tar shards.

    Scores of every face track are stored, then filtered: changing a filter decodes nothing again.
    The same input gives the same bytes, whatever the workers or the runner. Run it again: only
    what is missing, or was changed or damaged since, is done. On more than one machine: with an
    engine (flags that fsh does not know go to it), or with parts, after which a plain `fsh shard`
    writes the shards; docs/scale.md shows both.

    Examples: `fsh shard` · `fsh shard --workers 8 --audio` · `fsh shard --check` ·
    `fsh shard --filter min_sync=2.5 --filter duplicates=0` ·
    `fsh shard --runner dask --dask_client_address tcp://head:8786` · `fsh shard --part 3/40`
    """
    if context.args and not runner:
        raise typer.BadParameter(f"unknown {' '.join(context.args)} (engines' flags need --runner)")
    if check or check_frames:
        show_check(data, frames=check_frames, as_json=json, quiet=quiet)
        return

    from fsh.dataset_making import shard as run_shard

    with console.progress(quiet) as bar:
        report = run_shard(
            data,
            landmarks=landmarks,
            size=size,
            max_fps=max_fps,
            audio=audio,
            min_face=min_face,
            min_seconds=min_seconds,
            text=text,
            filters=thresholds(filter or []),
            only=tuple(only or ()),
            workers=workers,
            runner=runner,
            mode=mode,
            flags=context.args,
            part=part,
            retry=retry,
            video_timeout=video_timeout,
            max_failures=max_failures,
            announce=console.announcing("shard", quiet),
            progress=bar,
        )
    title = f"Analysed part {part}" if part else "Sharded"
    console.show_result(report.to_json(), as_json=json, title=title)


def thresholds(given: list[str]) -> dict[str, float]:
    """Filters' thresholds by name, as ``--filter`` gives them.

    Raises:
        typer.BadParameter: if one is not NAME=VALUE.
    """
    values = {}
    for one in given:
        name, sign, value = one.partition("=")
        try:
            values[name.strip().replace("-", "_")] = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise typer.BadParameter(f"--filter {one!r} is not NAME=VALUE, such as max_text=0.02")
    return values


def show_check(data: str, *, frames: bool, as_json: bool, quiet: bool) -> None:
    """Print what is damaged, a line each; exit status 1 if anything is."""
    from fsh.dataset_making import check_shards

    if not quiet:
        console.show_settings("shard --check", {"data": data, "frames": frames})
    with console.progress(quiet) as bar:
        report = check_shards(data, frames=frames, progress=bar)
    for fault in report.faults:
        console.err.print(str(fault), markup=False, soft_wrap=True)
    console.show_result(report.to_json(), as_json=as_json, title="Checked")
    if not report.sound:
        raise typer.Exit(1)
