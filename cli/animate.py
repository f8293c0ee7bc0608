"""``fsh animate``: a person's head, moved by somebody's video."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fsh.cli import console, marking, options

if TYPE_CHECKING:
    import numpy as np

    from fsh.schemas.progress import Progress
    from fsh.trainer.person import Person


def animate(
    person: Annotated[
        Path | None, typer.Option("--person", help="The person's folder; default: the newest.")
    ] = None,
    driving: Annotated[
        Path, typer.Option("--driving", help="A video whose face moves the person.")
    ] = ...,  # type: ignore[assignment]
    output: Annotated[Path, typer.Option("--output", "-o", help="The film.")] = Path("out.mp4"),
    people: Annotated[Path, typer.Option("--people", help="Where people live.")] = Path("people"),
    absolute: Annotated[
        bool,
        typer.Option("--absolute", help="Take the driver's landmarks as they are, shape and all."),
    ] = False,
    smooth: Annotated[bool, typer.Option(help="Smooth the landmarks over time (One Euro).")] = True,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show driver, landmarks and person side by side.")
    ] = False,
    no_mark: marking.NoMark = False,
    signing_key: marking.SigningKey = None,
    watermark_key: marking.WatermarkKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw the person frame by frame from the driver's landmarks; keep sound, rate and duration.

    The driver's motion is put on the person's own face shape. Frames in which no face is found
    are bridged, and counted in the result. The film is marked as AI-generated, in its pixels and in
    a signed C2PA manifest; a consent statement in the person's card is held to.

    Example: `fsh animate --person people/me --driving talk.mp4 -o me.mp4`
    """
    from fsh.pipeline.driving import read_driver
    from fsh.pipeline.encode import write_video
    from fsh.pipeline.landmarks import load_backend
    from fsh.trainer.adapt import adapt, fill_gaps
    from fsh.trainer.person import Person, record_unmarked
    from fsh.trainer.raster import draw as draw_lines

    person = person or options.newest(
        people, "person.json", what="person", remedy="run `fsh personalize` first"
    )
    actor = Person.load(person)
    consent = marking.require_consent(person, actor.about, "animate")
    if not quiet:
        shown = {"person": person, "driving": driving, "output": output, "consent": consent}
        shown |= {"smooth": smooth, "absolute": absolute, "marked": not no_mark}
        console.show_settings("animate", shown)
    begun = time.monotonic()
    signer = None if no_mark else marking.signer_of(signing_key)
    marks = marking.marking_of(person, actor.about, signer, watermark_key) if signer else None
    with console.progress(quiet) as bar:
        driver = read_driver(
            driving, actor.spec, load_backend(actor.spec.backend), bar, keep_frames=compare
        )
        points, bridged = fill_gaps(driver.landmarks, driver.times)
        if bridged:
            bar.say(f"no face in {bridged} of {len(points)} frames: bridged")
        if not absolute:
            points = adapt(points, driver.times, actor.landmarks, smooth=smooth)
        watch = Stopwatch()
        bar.start("drawing", len(points), "frame")
        pictures = draw_all(actor, points, watch, bar)
        if driver.frames is not None:
            lines = (draw_lines(shape, actor.spec.size) for shape in points)
            pictures = map(side_by_side, driver.frames, lines, pictures)
        if marks is None:
            record_unmarked(person, output.name, date.today().isoformat())
            count = write_video(output, pictures, driver.times, sound_of=driving)
        else:
            drawn = marking.unsigned(output)
            count = write_video(drawn, marks.frames(pictures), driver.times, sound_of=driving)
            marks.sign(drawn, to=output)
    seconds = time.monotonic() - begun
    span = driver.times[-1] - driver.times[0]
    result = {
        "output": str(output),
        "frames": count,
        "fps": (count - 1) / span if count > 1 else 0.0,
        "seconds": seconds,
        "generator_fps": count / watch.seconds,
        "end_to_end_fps": count / seconds,
        "bridged": bridged,
        "marked": marks is not None,
    }
    console.show_result(result, as_json=json, title=f"Film: {output}")


class Stopwatch:
    """Seconds spent inside its ``with`` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.monotonic() - self._begun


def draw_all(
    actor: Person, points: np.ndarray, watch: Stopwatch, progress: Progress, batch: int = 16
) -> Iterator[np.ndarray]:
    """The person's pictures, uint8 (H, H, 3), one per row of landmarks, drawn in batches."""
    for start in range(0, len(points), batch):
        with watch:
            pictures = actor.draw(points[start : start + batch])
        for picture in pictures:
            progress.advance()
            yield picture


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures of one height next to each other; uint8 (H, sum of W, 3)."""
    import cv2
    import numpy as np

    height = max(256, *(picture.shape[0] for picture in pictures))
    scaled = [
        cv2.resize(p, (round(p.shape[1] * height / p.shape[0]), height), interpolation=3)
        for p in pictures
    ]
    return np.concatenate(scaled, axis=1)
