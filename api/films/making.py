"""Making one film: the landmarks to draw, the pictures, the file and its marks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from fsh import marking
from fsh.films.frames import Stopwatch, drawn_frames, prefetched, side_by_side
from fsh.films.options import Film, FilmOptions, FilmRequest
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.pipeline.inputs.driver import Driver, read_driver
from fsh.pipeline.inputs.landmark_track import TRACK_SUFFIXES, save_track
from fsh.pipeline.inputs.paste_back import PasteTarget, paste_frames, read_paste_target
from fsh.pipeline.inputs.preflight import preflight
from fsh.pipeline.media.animated_pictures import is_animated
from fsh.pipeline.media.containers import PICTURES, FilmFormat, film_format
from fsh.pipeline.media.encode import video_encoder, write_video
from fsh.pipeline.media.one_clock import with_one_clock
from fsh.pipeline.media.picture_files import require_pictures_folder, write_pictures
from fsh.pipeline.media.sound import plan_sound
from fsh.pipeline.provenance.media_types import (
    is_manifest_store,
    manifest_beside,
    remove_manifest_beside,
)
from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Progress
from fsh.schemas.text import shown
from fsh.trainer.data.landmark_images import draw_landmarks, irises_to_draw
from fsh.trainer.person.mesh_transfer import follow_head, transfer_mesh
from fsh.trainer.person.motion_transfer import fill_gaps, follow_head_pose, transfer_motion
from fsh.trainer.person.person import Person, record_unmarked
from fsh.trainer.person.photo_references import faces_of

#: Seconds by which a driver's sound may outlast its pictures, as that of many files does.
_LONGER_SOUND = 0.5


@dataclass(frozen=True)
class FilmMaker:
    """Makes films with the same options, one after the other.

    Attributes:
        spec: how drivers and targets are cropped and landmarked; that of every person.
        target: what heads are put into; None: films show the crop alone.
    """

    options: FilmOptions
    spec: FaceSpec
    backend: LandmarkBackend
    target: PasteTarget | None
    progress: Progress

    @classmethod
    def of(cls, options: FilmOptions, spec: FaceSpec, progress: Progress) -> FilmMaker:
        """Load the landmark backend, and read the target if there is one."""
        backend, target = load_backend(spec.backend), None
        if options.paste_back:
            target = read_paste_target(
                Path(options.paste_back), spec, backend, progress, options.face
            )
        return cls(options, spec, backend, target, progress)

    def read_driver(self, driving: Path) -> Driver:
        """The driver, with its crops if they are to be shown; its landmarks are kept if asked."""
        keep, fps = self.options.compare, self.options.fps
        driver = read_driver(
            driving,
            self.spec,
            self.backend,
            self.progress,
            keep_frames=keep,
            fps=fps,
            face=self.options.face_that_drives,
        )
        if path := self.options.save_landmarks:
            save_track(Path(path), driver.landmarks, driver.times, self.spec, driver.mesh)
        return driver

    def make(
        self,
        request: FilmRequest,
        person: Person,
        driver: Driver,
        marks: marking.Marking | None,
    ) -> Film:
        """Draw a film, write and mark it; without ``marks`` the person's card records it."""
        difficulties = preflight(
            driver.landmarks, driver.spec.size, driver.mesh, driver.away, driver.faces
        )
        for line in difficulties.warnings():
            self.progress.say(f"{shown(request.driving.name)}: {line}")
        faces, bridged = self._moved(person, driver)
        target_frames = None
        if self.target is not None:
            target_frames = self.target.frames_at(driver.times)
            if _outlasts(driver, self.target):
                name = shown(request.driving.name)
                self.progress.say(f"{name} is longer than the target: its last frame stays")
            places, _ = fill_gaps(self.target.landmarks, self.target.times)
            faces = followed(faces, places[target_frames])
        stopwatch = Stopwatch()
        self.progress.start("drawing", len(faces), "frame")
        pictures = self._pictures(person, driver, faces, target_frames, stopwatch)
        count = self._write(request, pictures, driver.times, marks)
        span = driver.times[-1] - driver.times[0]
        return Film(
            output=str(request.output),
            frames=count,
            fps=float((count - 1) / span) if count > 1 else 0.0,
            generator_fps=count / stopwatch.seconds,
            bridged=bridged,
            marked=marks is not None,
            preflight=difficulties.to_json(),
        )

    def _moved(self, person: Person, driver: Driver) -> tuple[FaceLandmarks, int]:
        """The person's face in every frame, and how many frames had none and were bridged."""
        smooth = self.options.smooth
        points, bridged = fill_gaps(driver.landmarks, driver.times)
        mesh = None if driver.mesh is None else fill_gaps(driver.mesh, driver.times)[0]
        if self.options.absolute:
            return FaceLandmarks(points, mesh), bridged
        if mesh is not None and person.mesh is not None:
            return faces_of(transfer_mesh(mesh, driver.times, person.mesh, smooth=smooth)), bridged
        moved = transfer_motion(points, driver.times, person.landmarks, smooth=smooth)
        return FaceLandmarks(moved), bridged

    def _pictures(
        self,
        person: Person,
        driver: Driver,
        faces: FaceLandmarks,
        behind: np.ndarray | None,
        stopwatch: Stopwatch,
    ) -> Iterator[np.ndarray]:
        """The film's frames, uint8 (H, W, 3); ``behind``: the target's frame of each."""
        size, points = person.spec.size, faces.points
        pictures = prefetched(drawn_frames(person, faces, stopwatch, self.progress))
        if self.target is not None and behind is not None:
            pictures = paste_frames(self.target, behind, pictures, points, size)
        if not self.options.compare:
            return pictures
        irises = irises_to_draw(faces.mesh, person.spec)
        lines = (
            draw_landmarks(shape, size, irises=None if irises is None else irises[row])
            for row, shape in enumerate(points)
        )
        columns = [lines, pictures] if driver.frames is None else [driver.frames, lines, pictures]
        return map(side_by_side, *columns)

    def _write(
        self,
        request: FilmRequest,
        pictures: Iterator[np.ndarray],
        times: np.ndarray,
        marks: marking.Marking | None,
    ) -> int:
        """Encode the film, with the driver's sound if it has any; the number of its frames."""
        output = request.output
        film = film_format(output, self.options.format)
        if marks is None:
            record_unmarked(request.person, output.name, date.today().isoformat())
        else:
            pictures = prefetched(marks.frames(pictures))
        if film.name == PICTURES:
            finish = marks.sign_in_place if marks else None
            return write_pictures(output, pictures, times, finish)
        output.parent.mkdir(parents=True, exist_ok=True)
        sound_of = self._sound_of(request.driving, film)
        if marks is None:
            count = write_video(output, pictures, times, sound_of=sound_of, film=film)
            remove_manifest_beside(output)
            return count
        with marking.unsigned(output) as drawn:
            count = write_video(drawn, pictures, times, sound_of=sound_of, film=film)
            marks.sign(drawn, to=output)
        if manifest_beside(output).is_file():
            self.progress.say(
                f"{output.name} cannot hold its manifest, which is {manifest_beside(output).name}: "
                "keep both together"
            )
        return count

    def _sound_of(self, driving: Path, film: FilmFormat) -> Path | None:
        """The driver, if its sound gets into the film; sound that does not is reported."""
        if not driving.is_file() or driving.suffix.lower() in TRACK_SUFFIXES:
            return None
        if is_animated(driving):
            return None
        file, facts = with_one_clock(driving)
        plan, lacking = plan_sound(file, film)
        longer = facts.duration - facts.pictures_end
        if plan and longer > _LONGER_SOUND:
            self.progress.say(
                f"{shown(driving.name)}: its sound goes on for {longer:.1f} s after its last "
                "picture, with which the film ends"
            )
        if lacking:
            self.progress.say(f"{shown(driving.name)}: the film is silent: {lacking}")
        return file if plan else None


def require_film_place(output: Path, wanted: str | None) -> None:
    """Check, before any work, that a film can be written under a name, in the format asked for.

    Args:
        wanted: the format (:class:`FilmOptions`).

    Raises:
        FshError: if the name or the format is none, something else is there already, or this
            installation cannot encode it.
    """
    film = film_format(output, wanted)
    parents = (path for path in output.absolute().parents if path.exists())
    if not (parent := next(parents)).is_dir():
        raise FshError("is a file, and a film was to go into it", where=parent)
    if film.name == PICTURES:
        require_pictures_folder(output)
        return
    video_encoder(film)
    if output.is_dir():
        raise FshError("is a folder", where=output, remedy="name the film another way")
    beside = manifest_beside(output)
    if beside.exists() and not (beside.is_file() and is_manifest_store(beside)):
        raise FshError(
            "is no manifest, and the film's would take its place",
            where=beside,
            remedy="rename it, or the film",
        )


def followed(faces: FaceLandmarks, places: np.ndarray) -> FaceLandmarks:
    """Faces put to where a target's are, landmarks (N, 68, 2)."""
    if faces.mesh is not None:
        return faces_of(follow_head(faces.mesh, places))
    return FaceLandmarks(follow_head_pose(faces.points, places))


def _outlasts(driver: Driver, target: PasteTarget) -> bool:
    """Whether the driver is longer than a target video, its last frame included."""
    if len(target.times) < 2:
        return False
    length = target.times[-1] - target.times[0] + np.median(np.diff(target.times))
    return bool(driver.times[-1] - driver.times[0] > length)
