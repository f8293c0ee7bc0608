"""Films: people's heads, moved by somebody's video, marked as AI-generated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from fsh import marking
from fsh.defaults import Announce, AnyPath, as_paths, person_folder
from fsh.films.making import FilmMaker, require_film_place
from fsh.films.options import DriversFailed, Film, FilmOptions, FilmRequest, Films
from fsh.pipeline.inputs.input_name import input_name
from fsh.pipeline.inputs.landmark_track import require_track_name
from fsh.pipeline.media.containers import PICTURES, SUFFIXES, film_format, format_named
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.outputs import (
    owned_outputs,
    require_different,
    require_free_file,
    require_not_input,
    require_writable,
)
from fsh.schemas.places.run_layout import PersonFolder
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.text import shown
from fsh.threads import set_thread_count
from fsh.trainer.person.person import Person


def animate(
    person: AnyPath,
    driving: AnyPath,
    output: AnyPath = "out.mp4",
    *,
    absolute: bool = False,
    smooth: bool = True,
    compare: bool = False,
    fps: float = 25.0,
    paste_back: AnyPath | None = None,
    driver_face: int | None = None,
    face: int | None = None,
    save_landmarks: AnyPath | None = None,
    format: str | None = None,
    mark: bool = True,
    signing_key: AnyPath | None = None,
    watermark_key: AnyPath | None = None,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> Film:
    """Draw a person frame by frame from a driver's landmarks; keep sound, rate and duration.

    Sets the number of PyTorch's threads in this process, as :func:`fsh.personalize` does.

    Args:
        person: the person's folder, or a name in ``people``.
        driving: a video whose face moves the person, a folder of its pictures, or a landmark track
            (.npy, .npz).
        output: the film; its name ends in .mp4, .mov, .mkv, .webm or .gif. It is marked as
            AI-generated, in its pixels and in a signed manifest.
        absolute: take the driver's landmarks as they are, face shape and all.
        smooth: smooth the landmarks over time (One Euro).
        compare: show driver, landmarks and person side by side.
        fps: frames per second of a folder of pictures, or of a track that does not say.
        paste_back: a full-size photo or video of the person to put the head into.
        driver_face: which of the driver's faces moves the person, from 0 in order of appearance,
            from the left; None: that of whoever is largest for longest.
        face: which face of the target, if there is one, else of the driver.
        save_landmarks: where to keep the driver's landmarks as a track.
        format: png for a folder of pictures; otherwise the ending decides.
        mark: False leaves the film unmarked, which the person's card then records.
        signing_key: PEM file with certificates and key; None: this installation's.
        watermark_key: file with a secret of 16 bytes or more; None: the public key.
        announce: called once, before the work begins, with the settings in force.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: ``fps`` below 1, no person, no face, a name no film can have, a consent statement
            that does not allow it, or an output that is an input, or a file that fsh did not make.
    """
    options = FilmOptions(
        absolute=absolute,
        smooth=smooth,
        compare=compare,
        fps=fps,
        paste_back=paste_back,
        driver_face=driver_face,
        face=face,
        save_landmarks=save_landmarks,
        format=format,
        mark=mark,
        signing_key=signing_key,
        watermark_key=watermark_key,
    )
    made = animate_each(
        person, driving, output, options=options, announce=announce, progress=progress
    )
    return made.films[0]


def animate_each(
    people: AnyPath | Sequence[AnyPath],
    drivers: AnyPath | Sequence[AnyPath],
    output: AnyPath = "out.mp4",
    *,
    options: FilmOptions = FilmOptions(),
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> Films:
    """:func:`animate` for every pair of person and driver; each driver is read once.

    Args:
        people: folders of people, or names in ``people``, one or several.
        drivers: what drives them, as :func:`animate` takes it; one or several.
        output: of one film; of several, their folder, in which they are MP4 files if
            ``options.format`` is not given.
        options: how each film is made.
        announce: called once, before the work begins, with the settings in force.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: as :func:`animate` does, or if two films would have one name.
        DriversFailed: if some of several drivers cannot be used; the others' films are made.
    """
    begun, progress = time.monotonic(), progress or Silent()
    folders, videos = list(map(person_folder, as_paths(people))), as_paths(drivers)
    if options.save_landmarks and len(videos) > 1:
        raise FshError(
            "save_landmarks (--save-landmarks) keeps one track, and there are several drivers"
        )
    requests = requested_films(folders, videos, Path(output), options.format)
    outputs = require_free_films(requests, options)
    with owned_outputs(outputs, "animate"):
        made, failed = _animate(requests, folders, options, output, announce, progress)
    films = Films(tuple(made), time.monotonic() - begun, tuple(failed))
    if failed:
        raise DriversFailed(films, len(videos))
    return films


def require_free_films(requests: Sequence[FilmRequest], options: FilmOptions) -> list[Path]:
    """Every file that the films will be written to, the track of landmarks among them.

    Raises:
        FshError: if one of them is an input or somebody else's file, two are the same, a place
            cannot be written, or a name is none of a film.
    """
    people = [request.person for request in requests]
    inputs = [*people, *(request.driving for request in requests), options.paste_back]
    inputs += [options.signing_key, options.watermark_key]
    outputs = [request.output for request in requests]
    for film in outputs:
        require_not_input(film, inputs)
        require_film_place(film, options.format)
        if film_format(film, options.format).name != PICTURES:
            require_free_file(film, inputs, "film")
    if options.save_landmarks:
        track = Path(options.save_landmarks)
        require_track_name(track)
        require_free_file(track, inputs, "track of landmarks")
        outputs = [*outputs, track]
    require_different(outputs)
    if not options.mark:  # the card records it
        for person in people:
            require_writable(PersonFolder(person).card)
    return outputs


def _animate(
    requests: Sequence[FilmRequest],
    folders: Sequence[Path],
    options: FilmOptions,
    output: AnyPath,
    announce: Announce | None,
    progress: Progress,
) -> tuple[list[Film], list[tuple[str, str]]]:
    """The films, and the drivers that cannot be used, with the reason."""
    videos = list(dict.fromkeys(request.driving for request in requests))
    persons = {folder: Person.load(folder) for folder in folders}
    set_thread_count(max(person.network.size for person in persons.values()))
    consents = [marking.require_consent(f, p.about, "animate") for f, p in persons.items()]
    if announce:
        announce(_settings(folders, videos, output, options, consents))
    signer = marking.signer_of(options.signing_key) if options.mark else None
    marking.key_of(options.watermark_key)  # refused before the work, not after it
    spec = persons[folders[0]].spec
    for folder, person in persons.items():
        spec.require(person.spec, mine=str(folders[0]), theirs=str(folder))
    maker = FilmMaker.of(options, spec, progress)
    made, failed = [], []
    # Films come driver by driver, so that one is in memory at a time.
    for source, films in groupby(requests, key=lambda request: request.driving):
        try:
            driver = maker.read_driver(source)
        except FshError as error:
            if len(videos) == 1 or isinstance(error, NoRoom):
                raise
            progress.say(f"left out: {error}")  # the other drivers are none the worse for it
            failed.append((str(source), str(error)))
            continue
        for request in films:
            person = persons[request.person]
            marks = None
            if signer:
                key = options.watermark_key
                marks = marking.marking_of(request.person, person.about, signer, key)
            made.append(maker.make(request, person, driver, marks))
    return made, failed


def requested_films(
    people: list[Path], drivers: list[Path], output: Path, wanted: str | None = None
) -> list[FilmRequest]:
    """Every film, driver by driver: one goes to ``output``, several into that folder.

    Args:
        wanted: the format of several films; default: MP4.

    Raises:
        FshError: if two would have one name, or several were to go into one file.
    """
    if len(people) == len(drivers) == 1:
        return [FilmRequest(people[0], drivers[0], output)]
    suffix = format_named(wanted or "mp4").suffix
    if output.is_file() or (output.suffix.lower() in SUFFIXES and not output.is_dir()):
        raise FshError(
            "names one film, and there are several",
            where=output,
            remedy="name a folder for them, and --format if they shall not be MP4",
        )
    films = [
        FilmRequest(person, driver, output / f"{input_name(person)}--{input_name(driver)}{suffix}")
        for driver in drivers
        for person in people
    ]
    seen: dict[Path, FilmRequest] = {}
    for film in films:
        if other := seen.get(film.output):
            raise FshError(
                f"{shown(film.person)} with {shown(film.driving)} and {shown(other.person)} "
                f"with {shown(other.driving)} would both be written here",
                where=film.output,
                remedy="rename one, or make them one by one",
            )
        seen[film.output] = film
    return films


def _settings(
    people: Sequence[Path],
    drivers: Sequence[Path],
    output: AnyPath,
    options: FilmOptions,
    consents: Sequence[str],
) -> dict[str, object]:
    shown: dict[str, object] = {
        "person": ", ".join(map(str, people)),
        "driving": ", ".join(map(str, drivers)),
        "output": output,
        "consent": ", ".join(dict.fromkeys(consents)),
        "smooth": options.smooth,
        "absolute": options.absolute,
        "marked": options.mark,
    }
    return shown | ({"paste_back": options.paste_back} if options.paste_back else {})
