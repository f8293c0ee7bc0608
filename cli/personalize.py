"""``fsh personalize``: a person made out of a few photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsh.cli import console, options


def personalize(
    photos: Annotated[
        Path,
        typer.Option(
            "--photos", help="Photos of one person: a folder, one photo, or a short video."
        ),
    ],
    run: Annotated[
        Path | None, typer.Option("--run", help="The training run; default: the newest in runs/.")
    ] = None,
    person: Annotated[
        Path | None,
        typer.Option("--person", "-o", help="Where the person goes; default PEOPLE/FOLDER'S NAME."),
    ] = None,
    people: Annotated[Path, typer.Option("--people", help="Where people live.")] = Path("people"),
    steps: Annotated[
        int | None, typer.Option(help="Fine-tuning steps; 0: feed-forward only.", min=0)
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of the pictures drawn; default the crops', 256. Larger ones are slower.",
            min=64,
            max=1024,
        ),
    ] = None,
    face: Annotated[
        int | None,
        typer.Option(help="Which face where a photo has several: 0 is leftmost.", min=0),
    ] = None,
    mixed_ok: Annotated[
        bool, typer.Option("--mixed-ok", help="Do not refuse photos of different people.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Give up a person made of other photos in this place."),
    ] = False,
    consent: Annotated[
        Path | None,
        typer.Option("--consent", help="A consent statement (docs/responsible-use.md)."),
    ] = None,
    no_mark: options.NoMark = False,
    signing_key: options.SigningKey = None,
    watermark_key: options.WatermarkKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a person out of photos: embed them, then fine-tune the generator on them.

    Videos among the photos give up to 8 frames each, sharp ones of unlike poses and expressions.
    Fine-tuning stops by itself, where the person is most like the photos and two thirds of the
    mimicry are left (the mouth opens, the head turns as told); that may be at no step
    at all, the feed-forward model. The person's folder holds all that `fsh animate` needs, and a
    `preview.png`, marked as AI-generated; an older one is replaced if nothing of yours is in it.
    Run again with the same photos, or more of them, it makes the person anew; other photos need
    another `--person`, or `--replace`. With `--size 512` the pictures are as sharp as large photos
    are, at a third of the speed. Files that are not used are named with the reason.
    Whose face it is may be stated with `--consent`; the statement travels with every film.

    Examples: `fsh personalize --photos me/` · `fsh personalize --photos monalisa.jpg --size 512`
    """
    from fsh.people import personalize as make_person

    with console.progress(quiet) as bar:
        made = make_person(
            photos,
            person,
            run=run,
            people=people,
            steps=steps,
            size=size,
            face=face,
            mixed_ok=mixed_ok,
            replace=replace,
            consent=consent,
            mark=not no_mark,
            signing_key=signing_key,
            watermark_key=watermark_key,
            announce=console.announcing("personalize", quiet),
            progress=bar,
        )
    console.show_result(made.to_json(), as_json=json, title=f"Person: {made.folder}")
