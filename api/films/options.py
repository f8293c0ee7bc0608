"""What a film is asked to be, and what it became."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fsh.defaults import AnyPath
from fsh.schemas.errors import FshError


@dataclass(frozen=True)
class FilmOptions:
    """How films are made: the options of ``fsh animate``.

    Attributes:
        absolute: take the driver's landmarks as they are, face shape and all.
        smooth: smooth the landmarks over time (One Euro).
        compare: show driver, landmarks and person side by side.
        fps: frames per second of a folder of pictures, or of a track that does not say.
        paste_back: a full-size photo or video of the person to put the head into.
        driver_face: which of a driver's faces moves the person, by number from 0, in order of
            appearance, from the left; None: that of whoever is largest for longest.
        face: which face of the target is replaced, counted as the driver's; in a photo from the
            left. Without a target it is the driver's.
        save_landmarks: where to keep the driver's landmarks as a track.
        format: ``mp4``, ``mov``, ``mkv``, ``webm``, ``gif``, or ``png`` for a folder of pictures;
            None: as the film's name ends.
        mark: mark films as AI-generated; if not, the person's card records it.
        signing_key: PEM file with certificates and key; None: this installation's.
        watermark_key: file with a secret of 16 bytes or more; None: the public key.

    Raises:
        FshError: if ``fps`` is below 1, or the number of a face below 0.
    """

    absolute: bool = False
    smooth: bool = True
    compare: bool = False
    fps: float = 25.0
    paste_back: AnyPath | None = None
    driver_face: int | None = None
    face: int | None = None
    save_landmarks: AnyPath | None = None
    format: str | None = None
    mark: bool = True
    signing_key: AnyPath | None = None
    watermark_key: AnyPath | None = None

    def __post_init__(self) -> None:
        if not self.fps >= 1:  # so that NaN is refused too
            raise FshError(f"fps must be at least 1, not {self.fps:g}")
        for number in (self.driver_face, self.face):
            if number is not None and number < 0:
                raise FshError(f"faces are counted from 0, not {number}")

    @property
    def face_that_drives(self) -> int | None:
        """The driver's face, by number; None: the one that is largest for longest."""
        if self.driver_face is None and not self.paste_back:
            return self.face
        return self.driver_face


@dataclass(frozen=True)
class Film:
    """One finished film.

    Attributes:
        fps: frames per second, mean.
        generator_fps: frames drawn per second of drawing alone.
        bridged: frames in which the driver's face was not found, and was interpolated.
        marked: whether it bears a watermark and a manifest.
        preflight: what is difficult about the driver, JSON values.
    """

    output: str
    frames: int
    fps: float
    generator_fps: float
    bridged: int
    marked: bool
    preflight: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Films:
    """All films of one call, how long they took, seconds, and (driver, reason) of what failed."""

    films: tuple[Film, ...]
    seconds: float
    failed: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        frames = sum(film.frames for film in self.films)
        speed = {"seconds": self.seconds, "end_to_end_fps": frames / self.seconds}
        if len(self.films) == 1 and not self.failed:
            return {**self.films[0].to_json(), **speed}
        films = [film.to_json() for film in self.films]
        marked = bool(films) and all(film.marked for film in self.films)
        failed = [{"driving": driver, "error": error} for driver, error in self.failed]
        whole = {"films": films, "frames": frames, **speed, "marked": marked}
        return {**whole, "failed": failed} if failed else whole


class DriversFailed(FshError):
    """Some of several drivers could not be used.

    Attributes:
        made: the films of the others, and what failed.
    """

    def __init__(self, made: Films, drivers: int) -> None:
        self.made = made
        first = made.failed[0][1]
        super().__init__(f"{len(made.failed)} of {drivers} drivers cannot be used, such as {first}")


class FilmRequest(NamedTuple):
    """Who is moved by whom: the person's folder, the driver, and where the film goes."""

    person: Path
    driving: Path
    output: Path
