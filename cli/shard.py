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

    from dataclasses import replace

    from fsh.pipeline.dataset.config import AnalysisConfig, FilterConfig, ShardConfig
    from fsh.pipeline.dataset.graph import shard as run
    from fsh.pipeline.faces.backends import choose_backend
    from fsh.schemas.layout import DataFolder
    from fsh.schemas.spec import FaceSpec

    with console.progress(quiet) as bar:
        spec = replace(FaceSpec(), backend=choose_backend(landmarks, bar), size=size)
        analysis = replace(AnalysisConfig(), spec=spec, max_fps=max_fps, audio=audio)
        config = ShardConfig(
            analysis=analysis,
            filters=_given(FilterConfig(), min_face=min_face, min_seconds=min_seconds),
            retry_failed=retry,
        )
        config = _given(config, video_timeout=video_timeout, max_failed=max_failures)
        count = options.core_count(workers)
        if not quiet:
            shown = {"data": data, "faces": spec, "max_fps": max_fps, "workers": count}
            console.show_settings("shard", {**shown, "runner": runner or "local", "audio": audio})
        report = run(
            DataFolder(data),
            config,
            runner=runner,
            workers=count,
            mode=mode,
            flags=tuple(context.args),
            progress=bar,
        )
    console.show_result(report.to_json(), as_json=json, title="Sharded")


def _given(settings, **values):
    """The settings with those values that the user gave."""
    from dataclasses import replace

    return replace(settings, **{name: v for name, v in values.items() if v is not None})
