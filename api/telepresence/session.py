"""One open page: its camera's frames in, drawings out, by two threads and never a queue.

The first thread reads a frame, finds the face and puts its motion on the person; the second draws,
marks and encodes. While one frame is drawn, the next is asked for just in time to be ready when the
drawing is done: asked for earlier it would only grow old. Should frames come unasked, the newest
wins. So a slow machine gives fewer frames, not later ones.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import simplejpeg
from torch import Tensor

from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.inputs.live_face import FaceFollower, FollowingWindow
from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.mesh import mirrored_face
from fsh.schemas.live import CameraFrame, DrawnFrame
from fsh.telepresence.cast import Cast
from fsh.telepresence.mailbox import Mailbox
from fsh.trainer.person.live_motion import LiveMotion, LiveSmoothing, SmoothedFace

#: Seconds to spare when the next frame is asked for, and the weight of the newest frame in the
#: means that say when that is.
_SPARE, _NEWEST = 0.004, 0.2
#: JPEG quality of drawings; without chroma subsampling, because the mark is in the colors.
_QUALITY = 92
#: Pixels of a camera's picture at most: what is larger is no webcam's.
_MOST_PIXELS = 1920 * 1080


@dataclass(frozen=True)
class LiveSettings:
    """What the page's keys set.

    Attributes:
        person: number of the person drawn.
        mirror: whether the person moves as a mirror would show it.
    """

    person: int = 0
    mirror: bool = True


@dataclass(frozen=True)
class _Looked:
    """A frame between the two threads; ``points``: the person's face, None without one."""

    answer: DrawnFrame
    points: np.ndarray | None
    at: float


class LiveSession:
    """One page's session; close it, and its threads end.

    Args:
        on_frame: called with every answer, in order, from a thread of the session.
        on_room: called from such a thread when a drawing begins, with the seconds after which the
            next frame is to be asked for.
        on_problem: called once, from such a thread, with what ended the session.
        smooth: take out the jitter of landmarks.
    """

    def __init__(
        self,
        cast: Cast,
        on_frame: Callable[[DrawnFrame], None],
        on_problem: Callable[[str], None],
        on_room: Callable[[float], None],
        *,
        smooth: bool = True,
    ) -> None:
        self._cast, self._smooth = cast, smooth
        self._on_frame, self._on_problem, self._on_room = on_frame, on_problem, on_room
        #: When a frame was asked for; means of what it takes until it can be drawn, and of drawing.
        self._wanted_at: float | None = None
        self._preparing, self._drawing = 0.03, 0.05
        self.settings = LiveSettings()
        self._frames: Mailbox[CameraFrame] = Mailbox()
        self._looked: Mailbox[_Looked] = Mailbox()
        self._asked: deque[str] = deque(maxlen=8)
        self._last: CameraFrame | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"fsh-live-{name}")
            for name, work in (("look", self._look), ("draw", self._draw))
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    @property
    def dropped(self) -> int:
        """Frames that a newer one took the place of."""
        return self._frames.dropped + self._looked.dropped

    def put(self, frame: CameraFrame) -> None:
        """Hand over the camera's newest frame.

        Raises:
            FshError: if its number or time is not above that of the one before.
        """
        last = self._last
        if last and (frame.number <= last.number or frame.captured <= last.captured):
            raise FshError("frames must come in order")
        self._last = frame
        self._frames.put(frame)

    def frame_is_asked_for(self) -> None:
        """Note that the page was just asked for a frame."""
        self._wanted_at = time.perf_counter()

    def choose(self, person: int) -> None:
        """Draw another person from the next frame on.

        Raises:
            FshError: if there is none of that number, or the consent does not allow it.
        """
        if not 0 <= person < len(self._cast):
            raise FshError(f"there is no person {person + 1}")
        self._cast[person].require_consent()
        self.settings = replace(self.settings, person=person)

    def mirror(self, on: bool) -> None:
        self.settings = replace(self.settings, mirror=on)

    def calibrate(self) -> None:
        """Take the face as it is now as neutral: the person is then as in the photos."""
        self._asked.append("calibrate")

    def search_reference(self) -> None:
        """Find the neutral face by itself again."""
        self._asked.append("search")

    def close(self) -> None:
        """End the session; returns when its threads have ended."""
        self._frames.close()
        self._looked.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except FshError as error:
            self._on_problem(str(error))
        except Exception as error:  # told to the page, which shows it; other pages go on
            self._on_problem(f"internal error: {type(error).__name__}: {error}")

    def _look(self) -> None:
        """The first thread: faces found, and put on the person."""
        follower = FaceFollower(load_backend(self._cast.spec.backend))
        driver = _LiveDriver(self._cast, self._smooth)
        while (frame := self._frames.take()) is not None:
            begun, settings = time.perf_counter(), self.settings
            picture = camera_picture(frame.jpeg)
            decoded = time.perf_counter()
            found = follower.next(picture, frame.captured)
            adapting = time.perf_counter()
            while self._asked:
                driver.asked(self._asked.popleft())
            face, moved = driver.next(found.face, frame.captured, settings)
            ended = time.perf_counter()
            stages = {"wait": begun - frame.arrived, "decode": decoded - begun}
            stages |= {"detect": found.detecting, "landmarks": found.landmarking}
            stages["adapt"] = ended - adapting
            answer = DrawnFrame(
                frame.number,
                frame.captured,
                settings.person,
                landmarks=None if found.face is None else found.face.points[0],
                bridged=face is not None and face.bridged,
                delay=0.0 if face is None else face.delay,
                stages=stages,
            )
            if (wanted := self._wanted_at) is not None:
                self._preparing += _NEWEST * (min(ended - wanted, 1.0) - self._preparing)
                self._wanted_at = None
            self._looked.put(_Looked(answer, moved, ended))

    def _draw(self) -> None:
        """The second thread: the person drawn, marked and encoded."""
        chosen: dict[int, Tensor | None] = {}
        while (looked := self._looked.take()) is not None:
            answer, begun = looked.answer, time.perf_counter()
            drawing = 0.0 if looked.points is None else self._drawing
            self._on_room(max(0.0, drawing - self._preparing - _SPARE))
            if looked.points is not None:
                member = self._cast[answer.person]
                member.require_consent()
                key = answer.person
                picture, chosen[key] = member.draw(looked.points, chosen.get(key))
                drawn = time.perf_counter()
                marked = member.mark(picture)
                ended = time.perf_counter()
                jpeg = simplejpeg.encode_jpeg(marked, quality=_QUALITY, colorsubsampling="444")
                stages = answer.stages | {"queue": begun - looked.at, "draw": drawn - begun}
                stages |= {"mark": ended - drawn, "encode": time.perf_counter() - ended}
                self._drawing += _NEWEST * (time.perf_counter() - begun - self._drawing)
                answer = replace(answer, jpeg=jpeg, picture=marked, stages=stages)
            self._on_frame(answer)


class _LiveDriver:
    """Whoever sits before the camera, as the face of the person chosen."""

    def __init__(self, cast: Cast, smooth: bool) -> None:
        self._cast = cast
        self._window = FollowingWindow(cast.spec)
        self._smoothing = {mesh: LiveSmoothing(smooth) for mesh in (False, True)}
        self._motion = LiveMotion(cast[0].transfer())
        self._drawn = LiveSettings(mirror=False)

    def asked(self, what: str) -> None:
        if what == "calibrate":
            self._motion.calibrate()
        else:
            self._motion.search()

    def next(
        self, face: FaceLandmarks | None, at: float, settings: LiveSettings
    ) -> tuple[SmoothedFace | None, np.ndarray | None]:
        """The driver's face in crop pixels, and the person's; None while there is none."""
        member = self._cast[settings.person]
        points: np.ndarray | None = None
        if face is not None:
            placed = self._window.to_window(face, at)
            points = placed.points[0]
            if placed.mesh is not None and member.has_mesh:
                points = placed.mesh[0]
        smoothed = self._smoothing[member.has_mesh].next(points, at)
        if settings.mirror != self._drawn.mirror:
            self._motion.mirror()
        if settings.person != self._drawn.person:
            self._motion.use(member.transfer())
        self._drawn = settings
        if smoothed is None:
            return None, None
        if settings.mirror:
            smoothed = replace(smoothed, points=mirrored_face(smoothed.points, 0))
        return smoothed, self._motion.move(smoothed, at)


def camera_picture(jpeg: bytes) -> np.ndarray:
    """A camera's JPEG as uint8 (H, W, 3) RGB.

    Raises:
        FshError: if it is none, or larger than 1920×1080.
    """
    try:
        height, width = map(int, simplejpeg.decode_jpeg_header(jpeg)[:2])
        if height * width > _MOST_PIXELS:
            raise FshError(f"a camera's picture of {width}×{height} is too large")
        return simplejpeg.decode_jpeg(jpeg)
    except ValueError as error:
        raise FshError(f"not a JPEG ({error})") from error
