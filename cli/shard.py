"""``fsh shard``: from videos to tar shards of faces with landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsh.cli import console, options

#: Flags that fsh does not know go to the Beam runner that was named.
BEAM_FLAGS = {"allow_extra_args": True, "ignore_unknown_options": True}


def shard(
    context: typer.Context,
    data: options.Data = Path("data"),
    landmarks: options.Landmarks = "auto",
    size: Annotated[int, typer.Option(help="Side of a stored crop, pixels.", min=32)] = 256,
    max_fps: Annotated[float, typer.Option(help="Frames kept per second at most.")] = 25.0,
    audio: Annotated[bool, typer.Option("--audio", help="Keep each sample's sound.")] = False,
    min_face: Annotated[
        float | None, typer.Option(help="Smallest face kept, source pixels.")
    ] = None,
    min_seconds: Annotated[float | None, typer.Option(help="Shortest clip kept.")] = None,
    workers: options.Workers = 0,
    runner: options.Runner = None,
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
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find shots, faces and landmarks in the ingested videos; write WebDataset tar shards.

    Scores of every face track are stored, then filtered: changing a filter decodes nothing again.
    The same input gives the same bytes, whatever the workers or the runner. Run it again: only
    what is missing is done. Flags that fsh does not know go to Beam when `--runner` is given.

    Examples: `fsh shard` · `fsh shard --workers 8 --audio` ·
    `fsh shard --runner FlinkRunner --flink_master localhost:8081`
    """
    if context.args and not runner:
        raise typer.BadParameter(f"unknown {' '.join(context.args)} (Beam flags need --runner)")

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
            workers=workers,
            runner=runner,
            mode=mode,
            flags=context.args,
            retry=retry,
            video_timeout=video_timeout,
            max_failures=max_failures,
            announce=console.announcing("shard", quiet),
            progress=bar,
        )
    console.show_result(report.to_json(), as_json=json, title="Sharded")
