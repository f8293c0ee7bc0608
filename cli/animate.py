"""``fsh animate``: people's heads, moved by somebody's video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsh.cli import console, options


def animate(
    person: Annotated[
        list[Path] | None,
        typer.Option(
            "--person",
            help="The person's folder, or a name in --people; default: the newest. Repeatable.",
        ),
    ] = None,
    driving: Annotated[
        list[Path],
        typer.Option(
            "--driving",
            help="A video whose face moves the person, a folder of its pictures, or a landmark "
            "track (.npy, .npz). Repeatable.",
        ),
    ] = ...,  # type: ignore[assignment]
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The film, .mp4, .mov, .mkv, .webm or .gif; of several films, their folder.",
        ),
    ] = Path("out.mp4"),
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Of several films: as the endings of --output; default mp4. png: PNG frames "
            "into a folder instead of a film.",
        ),
    ] = None,
    people: Annotated[Path, typer.Option("--people", help="Where people live.")] = Path("people"),
    absolute: Annotated[
        bool,
        typer.Option("--absolute", help="Take the driver's landmarks as they are, shape and all."),
    ] = False,
    smooth: Annotated[bool, typer.Option(help="Smooth the landmarks over time (One Euro).")] = True,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show driver, landmarks and person side by side.")
    ] = False,
    paste_back: Annotated[
        Path | None,
        typer.Option(
            "--paste-back", help="A full-size photo or video of the person to put the head into."
        ),
    ] = None,
    driver_face: Annotated[
        int | None,
        typer.Option(
            "--driver-face",
            help="Whose face drives where a driver shows several people, from 0 in order of "
            "appearance, from the left; default: whoever is largest for longest.",
            min=0,
        ),
    ] = None,
    face: Annotated[
        int | None,
        typer.Option(
            "--face",
            help="Which face of --paste-back's target is replaced, from the left, from 0; without "
            "a target: as --driver-face.",
            min=0,
        ),
    ] = None,
    fps: Annotated[
        float, typer.Option(help="Frames per second of a folder or of an .npy track.", min=1)
    ] = 25.0,
    save_landmarks: Annotated[
        Path | None,
        typer.Option(
            "--save-landmarks",
            help="Keep the driver's landmarks as a track (.npz, .npy) that drives without a face.",
        ),
    ] = None,
    no_mark: options.NoMark = False,
    signing_key: options.SigningKey = None,
    watermark_key: options.WatermarkKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw people frame by frame from a driver's landmarks; keep sound, rate and duration.

    The ending of `-o` decides the film's format. A GIF has no sound and at most 50 frames a second;
    `-o FOLDER --format png` writes its frames as PNG files, with their times in `times.json`.

    The driver's motion is put on the person's own face shape. What is difficult about a driver
    (shaking, lost face, extreme pose, a cut to another person) is told before drawing; frames in
    which the face is not found are bridged. With `--paste-back` the head goes into a full-size
    photo or video: it stays where the head is there, and the driver gives its expression and how
    far it turns. The film is marked as AI-generated, in its pixels and in a signed C2PA manifest;
    a consent statement in the person's card is held to. Of several drivers, one that cannot be used
    costs only its own films; the exit status is 1. A file that is there is replaced only if
    it is a film of fsh's.

    Examples: `fsh animate --person people/me --driving talk.mp4 -o me.mp4` ·
    `fsh animate --person people/a --person people/b --driving talk.mp4 -o films --format webm`
    """
    from fsh.defaults import newest_person, person_folder
    from fsh.films.animate import FilmOptions, animate_each
    from fsh.films.options import DriversFailed

    chosen = FilmOptions(
        absolute=absolute,
        smooth=smooth,
        compare=compare,
        fps=fps,
        paste_back=paste_back,
        driver_face=driver_face,
        face=face,
        save_landmarks=save_landmarks,
        format=format,
        mark=not no_mark,
        signing_key=signing_key,
        watermark_key=watermark_key,
    )
    people_meant = [person_folder(one, people) for one in person or [newest_person(people)]]
    with console.progress(quiet) as bar:
        announce = console.announcing("animate", quiet)
        try:
            made = animate_each(
                people_meant, driving, output, options=chosen, announce=announce, progress=bar
            )
        except DriversFailed as failure:
            title = f"{len(failure.made.films)} films: {output}"
            console.show_result(failure.made.to_json(), as_json=json, title=title)
            raise
    title = f"Film: {output}" if len(made.films) == 1 else f"{len(made.films)} films: {output}"
    console.show_result(made.to_json(), as_json=json, title=title)
