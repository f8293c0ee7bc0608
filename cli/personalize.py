"""``fsh personalize``: one person from a handful of photos. Here photos meet the trainer."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from fsh import marking
from fsh.cli import console, options
from fsh.threads import share_cores


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
    face: Annotated[
        int | None, typer.Option(help="Which face where a photo has several: 0 is leftmost.")
    ] = None,
    mixed_ok: Annotated[
        bool, typer.Option("--mixed-ok", help="Do not refuse photos of different people.")
    ] = False,
    consent: Annotated[
        Path | None,
        typer.Option("--consent", help="A consent statement (docs/responsible-use.md)."),
    ] = None,
    no_mark: marking.NoMark = False,
    signing_key: marking.SigningKey = None,
    watermark_key: marking.WatermarkKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a person out of photos: embed them, then fine-tune the generator on them.

    Videos among the photos give up to 8 frames each, sharp ones of unlike poses and expressions.
    Fine-tuning stops by itself, where the person is recognised best and two thirds of the mimicry
    are left (the mouth opens, the head turns as told); that may be at no step
    at all, the feed-forward model. The person's folder holds all that `fsh animate` needs, and a
    `preview.png`, marked as AI-generated.
    Whose face it is may be stated with `--consent`; the statement travels with every film.

    Examples: `fsh personalize --photos me/` · `fsh personalize --photos monalisa.jpg --steps 0`
    """
    from fsh.face_analysis import identity_similarity, judges_of
    from fsh.pipeline.faces.landmarks import load_backend
    from fsh.pipeline.inputs.photos import prepare_photos
    from fsh.pipeline.media.footage import VIDEO_SUFFIXES
    from fsh.pipeline.media.pictures import photo_paths
    from fsh.trainer.person.person import Person, describe, record_unmarked
    from fsh.trainer.person.personalize import hashes_of, load_trained
    from fsh.trainer.person.personalize import personalize as learn

    run = run or options.newest_run(Path("runs"))
    person = person or people / (re.sub(r"[^\w-]+", "-", photos.stem).strip("-") or "person")
    about = marking.stated(consent, "personalize")
    signer = None if no_mark else marking.signer_of(signing_key)
    marking.key_of(watermark_key)  # refused before the work, not after it
    if not quiet:
        shown: dict[str, object] = {"photos": photos, "run": run, "person": person}
        shown |= {"steps": "auto" if steps is None else steps}
        shown |= {"consent": consent or "not stated", "marked": not no_mark}
        console.show_settings("personalize", shown)
    with console.progress(quiet) as bar:
        trained = load_trained(run, bar)
        share_cores(trained.config.network.size)
        backend = load_backend(trained.spec.backend)
        clip, rejected = prepare_photos(
            photo_paths(photos, also=VIDEO_SUFFIXES),
            trained.spec,
            backend=backend,
            face=face,
            mixed_ok=mixed_ok,
            progress=bar,
        )
        for photo in rejected:
            bar.say(f"left out {photo.path}: {photo.reason}")
        about["made_from"] = hashes_of(trained.folder, bar)
        judges = judges_of(backend)
        report = learn(trained, clip, person, steps=steps, progress=bar, about=about, judges=judges)
        if signer is None:
            record_unmarked(person, "preview.png", date.today().isoformat())
        else:
            marking.marking_of(person, about, signer, watermark_key).picture(person / "preview.png")
            describe(person)
        similarity = identity_similarity(Person.load(person), clip)
    result = {**report.to_json(), "identity_similarity": similarity}
    console.show_result(result, as_json=json, title=f"Person: {person}")
