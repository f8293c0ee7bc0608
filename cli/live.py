"""``fsh live``: your face moves theirs, in a browser on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsh.cli import console, options


def live(
    person: Annotated[
        list[Path] | None,
        typer.Option(
            "--person",
            help="A person's folder; default: the newest. Repeatable: keys 1 to 9 switch.",
        ),
    ] = None,
    people: Annotated[
        Path, typer.Option("--people", help="Where people live, and new ones go.")
    ] = Path("people"),
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="The training run that makes new people; default: the newest in runs/."
        ),
    ] = None,
    camera: Annotated[
        Path | None,
        typer.Option("--camera", help="A video that stands in for the camera; it is repeated."),
    ] = None,
    recordings: Annotated[
        Path, typer.Option("--recordings", "-o", help="Where the page's films go.")
    ] = Path("recordings"),
    host: Annotated[
        str,
        typer.Option(
            "--host", help="The address to listen at; others than 127.0.0.1 let others in."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", help="0: 8736, or another one if that is taken.", min=0, max=65535),
    ] = 0,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page.")] = True,
    smooth: Annotated[bool, typer.Option(help="Smooth the landmarks over time (One Euro).")] = True,
    virtual_camera: Annotated[
        bool,
        typer.Option(
            "--virtual-camera",
            help="Give the drawing to other programs as a camera (fsh[virtual-camera]).",
        ),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="End after so long; default: Ctrl-C.", min=0)
    ] = None,
    signing_key: options.SigningKey = None,
    watermark_key: options.WatermarkKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Let your face move people's, live: a page on this machine takes the webcam and shows them.

    The page needs no network. It finds your neutral face by itself, or look straight and press C;
    keys 1 to 9 switch people, M mirrors, L shows the landmarks, F freezes, V compares, R records
    to a film with sound. It can take photos of somebody and make a person of them. The newest frame
    always wins: a slow machine gives fewer frames, not later ones; the page shows how many, and how
    late they are. Every picture bears the watermark, films are signed, a consent statement is held
    to. Ends with Ctrl-C.

    Examples: `fsh live` · `fsh live --person people/a --person people/b --camera talk.mp4`
    """
    from fsh.telepresence.live import live as serve

    with console.progress(quiet) as bar:
        report = serve(
            person,
            people=people,
            run=run,
            camera=camera,
            recordings=recordings,
            host=host,
            port=port,
            open_page=open_page,
            smooth=smooth,
            virtual_camera=virtual_camera,
            seconds=seconds,
            signing_key=signing_key,
            watermark_key=watermark_key,
            announce=console.announcing("live", False),
            progress=bar,
        )
    console.show_result(report.to_json(), as_json=json, title="Live")
