"""``fsh animate``: people's heads, moved by somebody's video."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fsh import films, marking
from fsh.cli import console, options

if TYPE_CHECKING:
    from fsh.pipeline.inputs.driver import Driver


def animate(
    person: Annotated[
        list[Path] | None,
        typer.Option("--person", help="The person's folder; default: the newest. Repeatable."),
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
        Path, typer.Option("--output", "-o", help="The film; of several films, their folder.")
    ] = Path("out.mp4"),
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
    no_mark: marking.NoMark = False,
    signing_key: marking.SigningKey = None,
    watermark_key: marking.WatermarkKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw people frame by frame from a driver's landmarks; keep sound, rate and duration.

    The driver's motion is put on the person's own face shape. What is difficult about a driver
    (shaking, lost face, extreme pose) is told before drawing; frames in which no face is found are
    bridged. With `--paste-back` the head goes into a full-size photo or video: it stays where the
    head is there, and the driver gives its expression and how far it turns. The film is marked as
    AI-generated, in its pixels and in a signed C2PA manifest; a consent statement in the person's
    card is held to.

    Examples: `fsh animate --person people/me --driving talk.mp4 -o me.mp4` ·
    `fsh animate --person people/a --person people/b --driving talk.mp4 -o films`
    """
    from fsh.pipeline.faces.backends import load_backend
    from fsh.pipeline.inputs.landmark_track import save_track
    from fsh.pipeline.inputs.paste_back import read_paste_target
    from fsh.schemas.errors import FshError
    from fsh.trainer.person.person import Person

    begun = time.monotonic()
    people_meant = person or [
        options.newest(people, "person.json", what="person", remedy="run `fsh personalize` first")
    ]
    if save_landmarks and len(driving) > 1:
        raise FshError("--save-landmarks keeps one track, and there are several drivers")
    look = films.Look(absolute, smooth, compare, fps)
    wanted = films.names(people_meant, driving, output)
    actors = {folder: Person.load(folder) for folder in people_meant}
    consents = {
        folder: marking.require_consent(folder, actor.about, "animate")
        for folder, actor in actors.items()
    }
    if not quiet:
        shown: dict[str, object] = {
            "person": ", ".join(map(str, people_meant)),
            "driving": ", ".join(map(str, driving)),
            "output": output,
            "consent": ", ".join(dict.fromkeys(consents.values())),
        }
        shown |= {"smooth": smooth, "absolute": absolute, "marked": not no_mark}
        if paste_back:
            shown["paste_back"] = paste_back
        console.show_settings("animate", shown)
    signer = None if no_mark else marking.signer_of(signing_key)
    marking.key_of(watermark_key)  # refused before the work, not after it
    made: list[dict[str, Any]] = []
    with console.progress(quiet) as bar:
        spec = actors[people_meant[0]].spec
        for folder, actor in actors.items():
            spec.require(actor.spec, mine=str(people_meant[0]), theirs=str(folder))
        backend = load_backend(spec.backend)
        target = read_paste_target(paste_back, spec, backend, bar) if paste_back else None
        drivers: dict[Path, Driver] = {}
        for folder, source, film in wanted:
            if source not in drivers:  # films come driver by driver: one is in memory at a time
                motion = films.read_motion(source, actors[folder], backend, look, bar)
                drivers = {source: motion}
                if save_landmarks:
                    save_track(save_landmarks, motion.landmarks, motion.times, spec)
            about, key = actors[folder].about, watermark_key
            marks = marking.marking_of(folder, about, signer, key) if signer else None
            film.parent.mkdir(parents=True, exist_ok=True)
            args = (folder, actors[folder], source, drivers[source], film, look, target, marks)
            made.append(films.make_film(*args, bar))
    seconds = time.monotonic() - begun
    frames = sum(film["frames"] for film in made)
    speed = {"seconds": seconds, "end_to_end_fps": frames / seconds}
    if len(made) == 1:
        console.show_result({**made[0], **speed}, as_json=json, title=f"Film: {output}")
        return
    result = {"films": made, "frames": frames, **speed, "marked": signer is not None}
    console.show_result(result, as_json=json, title=f"{len(made)} films: {output}")
