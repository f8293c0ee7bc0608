"""A live session as a film: kept as it was shown, and made a signed file at the end.

A recording is of one person, because its mark and its manifest stand for one: when another one is
chosen, the file ends and the next begins.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import simplejpeg

from fsh import marking
from fsh.pipeline.media.containers import film_format
from fsh.pipeline.media.encode import write_video
from fsh.pipeline.media.sound import plan_sound
from fsh.schemas.errors import FshError
from fsh.schemas.live import DrawnFrame
from fsh.schemas.places.outputs import owned_output, require_free_file
from fsh.schemas.places.temporary import temporary_file
from fsh.telepresence.cast import CastMember

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class RecordedFilm:
    """A finished recording.

    Attributes:
        frames: how many it has.
        seconds: from the first frame to the last.
        sound: whether it has some.
        note: why it has none, if it was to have some; else empty.
    """

    path: Path
    frames: int
    seconds: float
    sound: bool
    note: str = ""


class LiveRecording:
    """Takes frames and sound as they come; :meth:`finish` makes the film.

    Pictures go to a file beside the film as the JPEGs that the page is shown, because encoding a
    film would take the time that drawing needs.

    Args:
        folder: where films go; made if there is none.
        sound_from: seconds on the page's clock at which the sound begins; None: there is none.

    Raises:
        FshError: if the folder cannot be written.
    """

    def __init__(self, member: CastMember, folder: Path, sound_from: float | None) -> None:
        self.member, self._origin = member, sound_from
        self._has_sound = sound_from is not None
        self._times: list[float] = []
        self._lock = threading.Lock()
        with ExitStack() as stack:
            self.path = _free_name(folder, member.name)
            stack.enter_context(owned_output(self.path, "live"))
            pictures = stack.enter_context(temporary_file(self.path))
            self._sound_path = stack.enter_context(temporary_file(self.path))
            self._pictures = stack.enter_context(pictures.open("r+b"))
            self._sound = stack.enter_context(self._sound_path.open("r+b"))
            self._stack = stack.pop_all()

    def add(self, frame: DrawnFrame) -> None:
        """Add a frame that was drawn; those from before the sound are left out."""
        with self._lock:
            if self._pictures.closed or not frame.jpeg:
                return
            if self._origin is None:
                self._origin = frame.captured
            if frame.captured < self._origin:
                return
            self._times.append(frame.captured - self._origin)
            self._pictures.write(_LENGTH.pack(len(frame.jpeg)) + frame.jpeg)

    def add_sound(self, content: bytes) -> None:
        """Add the next bytes of what the browser records."""
        with self._lock:
            if self._has_sound and not self._sound.closed:
                self._sound.write(content)

    def finish(self) -> RecordedFilm | None:
        """Write the film and sign it; None if no frame came.

        Raises:
            FshError: if it cannot be written.
        """
        with self._lock, self._stack:
            if not self._times:
                return None
            self._sound.flush()
            times = np.array(self._times)
            sound, note = self._usable_sound()
            with marking.unsigned(self.path) as drawn:
                film = film_format(drawn)
                write_video(drawn, self._jpegs(), times, sound_of=sound, film=film)
                self.member.marks.sign(drawn, to=self.path)
            seconds = float(times[-1] - times[0])
            return RecordedFilm(self.path, len(times), seconds, sound is not None, note)

    def _jpegs(self) -> Iterator[np.ndarray]:
        self._pictures.seek(0)
        while head := self._pictures.read(_LENGTH.size):
            yield simplejpeg.decode_jpeg(self._pictures.read(*_LENGTH.unpack(head)))

    def _usable_sound(self) -> tuple[Path | None, str]:
        """The sound's file, or None and why there is none."""
        if not self._has_sound:
            return None, ""
        if not self._sound_path.stat().st_size:
            return None, "the browser sent no sound"
        try:
            plan, lacking = plan_sound(self._sound_path, film_format(self.path))
        except FshError as error:
            return None, f"the browser's sound cannot be read ({error.what})"
        return (self._sound_path, "") if plan else (None, lacking)


def _free_name(folder: Path, person: str) -> Path:
    """A name for a new film, which no other has."""
    name = person.replace(os.sep, "_") + datetime.now().strftime("-%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        path = folder / (f"{name}.mp4" if number == 1 else f"{name}-{number}.mp4")
        if not path.exists():
            require_free_file(path)
            return path
    raise FshError("no name is free here", where=folder)
