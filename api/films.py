"""One film: a person, what drives them, and where it goes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fsh import marking
from fsh.schemas.errors import FshError

if TYPE_CHECKING:
    import numpy as np

    from fsh.pipeline.faces.landmarks import LandmarkBackend
    from fsh.pipeline.inputs.driver import Driver
    from fsh.pipeline.inputs.paste_back import Target
    from fsh.schemas.progress import Progress
    from fsh.trainer.person.person import Person

Item = TypeVar("Item")


@dataclass(frozen=True)
class Look:
    """How films are made: the options of ``fsh animate``."""

    absolute: bool = False
    smooth: bool = True
    compare: bool = False
    fps: float = 25.0


def make_film(
    folder: Path,
    actor: Person,
    driving: Path,
    driver: Driver,
    output: Path,
    look: Look,
    target: Target | None,
    marks: marking.Marking | None,
    bar: Progress,
) -> dict[str, Any]:
    """Draw a film and mark it; what came out, for the result."""
    from fsh.pipeline.inputs.landmark_track import TRACK_SUFFIXES, preflight
    from fsh.pipeline.media.encode import write_video
    from fsh.trainer.data.landmark_images import draw_landmarks
    from fsh.trainer.person.motion_transfer import fill_gaps, follow_head_pose, transfer_motion
    from fsh.trainer.person.person import record_unmarked

    flaws = preflight(driver.landmarks, driver.spec.size)
    for line in flaws.warnings():
        bar.say(f"{driving.name}: {line}")
    points, bridged = fill_gaps(driver.landmarks, driver.times)
    if not look.absolute:
        points = transfer_motion(points, driver.times, actor.landmarks, smooth=look.smooth)
    shown = None
    if target is not None:
        shown = target.shown_at(driver.times)
        if len(target.times) > 1 and driver.times[-1] - driver.times[0] > target_seconds(target):
            bar.say(f"{driving.name} is longer than the target: its last frame stays")
        places, _ = fill_gaps(target.landmarks, target.times)
        points = follow_head_pose(points, places[shown])
    watch = Stopwatch()
    bar.start("drawing", len(points), "frame")
    pictures = ahead(draw_all(actor, points, watch, bar))
    if target is not None and shown is not None:
        from fsh.pipeline.inputs.paste_back import pasted

        pictures = pasted(target, shown, pictures, points, actor.spec.size)
    if look.compare:
        lines = (draw_landmarks(shape, actor.spec.size) for shape in points)
        columns = [lines, pictures] if driver.frames is None else [driver.frames, lines, pictures]
        pictures = map(side_by_side, *columns)
    has_sound = driving.is_file() and driving.suffix.lower() not in TRACK_SUFFIXES
    sound_of = driving if has_sound else None
    if marks is None:
        record_unmarked(folder, output.name, date.today().isoformat())
        count = write_video(output, pictures, driver.times, sound_of=sound_of)
    else:
        drawn = marking.unsigned(output)
        marked = ahead(marks.frames(pictures))
        count = write_video(drawn, marked, driver.times, sound_of=sound_of)
        marks.sign(drawn, to=output)
    span = driver.times[-1] - driver.times[0]
    return {
        "output": str(output),
        "frames": count,
        "fps": float((count - 1) / span) if count > 1 else 0.0,
        "generator_fps": count / watch.seconds,
        "bridged": bridged,
        "marked": marks is not None,
        "preflight": flaws.to_json(),
    }


def target_seconds(target: Target) -> float:
    """How long a target video is, its last frame included, as far as its frames tell."""
    import numpy as np

    steps = np.diff(target.times)
    return float(target.times[-1] - target.times[0] + np.median(steps))


def names(people: list[Path], drivers: list[Path], output: Path) -> list[tuple[Path, Path, Path]]:
    """(person, driver, film) of every film: one goes to ``output``, several into that folder."""
    if len(people) == len(drivers) == 1:
        return [(people[0], drivers[0], output)]
    films = [(p, d, output / f"{p.name}--{d.stem}.mp4") for d in drivers for p in people]
    seen: dict[Path, tuple[Path, Path]] = {}
    for person, driver, film in films:
        if film in seen:
            mine, theirs = f"{person} with {driver}", " with ".join(map(str, seen[film]))
            raise FshError(
                f"{mine} and {theirs} would both be written here",
                where=film,
                remedy="rename one, or make them one by one",
            )
        seen[film] = person, driver
    return films


class Stopwatch:
    """Seconds spent inside its ``with`` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.monotonic() - self._begun


def draw_all(
    actor: Person, points: np.ndarray, watch: Stopwatch, progress: Progress, batch: int = 8
) -> Iterator[np.ndarray]:
    """The person's pictures, uint8 (H, H, 3), one per row of landmarks, drawn in batches."""
    for start in range(0, len(points), batch):
        with watch:
            pictures = actor.draw(points[start : start + batch], batch=batch)
        for picture in pictures:
            progress.advance()
            yield picture


def ahead(items: Iterator[Item], depth: int = 16) -> Iterator[Item]:
    """The same items, made in a thread of their own, at most ``depth`` before they are wanted.

    Drawing, marking and encoding then overlap. An error comes out where the item would have.
    """
    made: queue.Queue[tuple[bool, object]] = queue.Queue(depth)
    stopped = threading.Event()

    def hand_over(entry: tuple[bool, object]) -> None:
        while not stopped.is_set():
            try:
                made.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                hand_over((True, item))
                if stopped.is_set():
                    return
        except BaseException as error:  # handed over and raised on the other side
            hand_over((False, error))
        else:
            hand_over((False, None))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while True:
            more, value = made.get()
            if more:
                yield value  # type: ignore[misc]
            elif value is None:
                return
            else:
                raise value  # type: ignore[misc]
    finally:
        stopped.set()
        worker.join()


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


def read_motion(
    driving: Path, person: Person, backend: LandmarkBackend, look: Look, bar: Progress
) -> Driver:
    """The driver, with its crops if they are to be shown."""
    from fsh.pipeline.inputs.driver import read_driver

    return read_driver(driving, person.spec, backend, bar, keep_frames=look.compare, fps=look.fps)
