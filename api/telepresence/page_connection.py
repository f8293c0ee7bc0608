"""One page's socket: what it asks for, and what it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from fsh.schemas.errors import FshError
from fsh.schemas.live import CameraFrame, DrawnFrame
from fsh.schemas.text import one_line
from fsh.telepresence.messages import (
    Kind,
    PageCommand,
    PageData,
    read_command,
    read_data,
    tell,
)
from fsh.telepresence.new_person import MOST_PHOTOS, checked_photo, consent_of
from fsh.telepresence.outbox import Outbox
from fsh.telepresence.recording import LiveRecording
from fsh.telepresence.session import LiveSession
from fsh.telepresence.studio import Studio
from fsh.telepresence.timing import LiveTiming

#: Seconds after which a frame that was asked for is asked for again.
_ASK_AGAIN = 2.0
#: Codes of closing: a message that is none of the page's; an error that ended the session.
_NOT_UNDERSTOOD, _FAILED = 4400, 4500


class PageConnection:
    """Serves one socket until it closes; :meth:`serve` then leaves nothing behind."""

    def __init__(self, socket: WebSocket, studio: Studio) -> None:
        self._socket, self._studio = socket, studio
        self._loop = asyncio.get_running_loop()
        self._timing = LiveTiming()
        self._outbox = Outbox(socket, self._speed)
        self._tell = self._outbox.tell
        self._ended = False
        self._recording: LiveRecording | None = None
        self._photos: dict[int, bytes] = {}
        self._tasks: set[asyncio.Task] = set()
        self._finishing: set[asyncio.Task] = set()
        self._session = LiveSession(
            studio.cast,
            self._from_session,
            self._on_problem,
            self._on_room,
            smooth=studio.smooth,
        )
        self._asking: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        self._studio.connections.add(self)
        self._welcome()
        self._ask_for_frame()
        sending = asyncio.create_task(self._outbox.send())
        try:
            await self._receive()
        finally:
            self._ended = True
            if self._asking is not None:
                self._asking.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await asyncio.to_thread(self._session.close)
            self._end_recording()
            await asyncio.gather(*self._finishing, return_exceptions=True)
            self._studio.connections.discard(self)

    def everybody_changed(self) -> None:
        """Tell the page who can be chosen now."""
        people = [
            {"name": one_line(member.name), "consent": one_line(member.consent)}
            for member in self._studio.cast.members
        ]
        self._tell("people", people=people)

    def _welcome(self) -> None:
        studio = self._studio
        settings = self._session.settings
        self._tell(
            "welcome",
            clip=studio.clip,
            mirror=settings.mirror,
            person=settings.person,
            recordings=str(studio.recordings),
            why_no_maker=studio.why_no_maker if studio.maker is None else "",
            device=None if studio.camera is None else studio.camera.device,
        )
        self.everybody_changed()

    def _from_session(self, frame: DrawnFrame) -> None:
        """Called by the session's second thread."""
        if (recording := self._recording) is not None and recording.member is (
            self._studio.cast[frame.person]
        ):
            recording.add(frame)
        if self._studio.camera is not None and frame.picture is not None:
            self._studio.camera.show(frame.picture)
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._on_frame, frame)

    def _speed(self) -> str:
        """The report of speed."""
        return tell("speed", dropped=self._session.dropped, **self._timing.summary())

    def _on_frame(self, frame: DrawnFrame) -> None:
        for timing in (self._timing, self._studio.timing):
            timing.drawn(frame.stages, frame.delay)
        self._studio.frames += bool(frame.jpeg)
        self._outbox.answer(frame)

    def _on_room(self, seconds: float) -> None:
        """Called by the session's second thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ask_later, seconds)

    def _ask_later(self, seconds: float) -> None:
        if self._asking is not None:
            self._asking.cancel()
        if not self._ended:
            self._asking = self._loop.call_later(seconds, self._ask_for_frame)

    def _ask_for_frame(self) -> None:
        """Ask the page for one frame, the newest; again if none comes, as from a paused video."""
        self._session.frame_is_asked_for()
        self._tell("want")
        self._ask_later(_ASK_AGAIN)

    def _on_problem(self, problem: str) -> None:
        """Called by a thread of the session."""

        def tell_and_end() -> None:
            self._tell("problem", what=problem, fatal=True)
            self._ended = True
            self._outbox.close(_FAILED)

        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(tell_and_end)

    async def _receive(self) -> None:
        while not self._ended:
            try:
                message = await self._socket.receive()
            except RuntimeError:  # closed by ourselves
                return
            if message["type"] == "websocket.disconnect":
                return
            try:
                if (content := message.get("bytes")) is not None:
                    await self._take(read_data(content))
                else:
                    await self._do(read_command(message.get("text") or ""))
            except FshError as error:
                with suppress(RuntimeError, WebSocketDisconnect):
                    await self._socket.close(_NOT_UNDERSTOOD, str(error)[:100])
                return

    async def _take(self, data: PageData) -> None:
        if data.kind == Kind.FRAME:
            now = time.perf_counter()
            self._session.put(CameraFrame(data.number, data.time, data.content, now))
        elif data.kind == Kind.SOUND:
            if self._recording is not None:
                await asyncio.to_thread(self._recording.add_sound, data.content)
        elif data.number < MOST_PHOTOS:
            self._photos[data.number] = await asyncio.to_thread(checked_photo, data.content)
            self._tell("photo", number=data.number)

    async def _do(self, command: PageCommand) -> None:
        """Do what the page asks for; what cannot be done now is told, what is no request raises."""
        does: Mapping[str, Callable[[PageCommand], Any]] = {
            "shown": self._shown,
            "person": self._choose,
            "mirror": lambda c: self._session.mirror(c.flag("on")),
            "calibrate": lambda _: self._session.calibrate(),
            "search": lambda _: self._session.search_reference(),
            "record": self._record,
            "make": self._make,
        }
        if command.do not in does:
            raise FshError("a text that asks for nothing known")
        done = does[command.do](command)
        if done is not None:
            await done

    def _shown(self, command: PageCommand) -> None:
        seconds = command.number("seconds", 0, 60)
        for timing in (self._timing, self._studio.timing):
            timing.seen(seconds)

    def _choose(self, command: PageCommand) -> None:
        number = int(command.number("number", 0, 1000))
        try:
            self._session.choose(number)
        except FshError as error:
            self._tell("problem", what=str(error))
            return
        self._tell("person", number=number)
        if self._recording is not None:
            self._end_recording(next=True)

    async def _record(self, command: PageCommand) -> None:
        self._end_recording()
        if not command.flag("on"):
            return
        sound = (
            command.number("sound_from") if command.about.get("sound_from") is not None else None
        )
        member = self._studio.cast[self._session.settings.person]
        try:
            folder = self._studio.recordings
            self._recording = await asyncio.to_thread(LiveRecording, member, folder, sound)
        except FshError as error:
            self._tell("problem", what=str(error))
            return
        self._tell("record", on=True, path=str(self._recording.path))

    def _end_recording(self, next: bool = False) -> None:
        """Have the film made, while frames go on; ``next``: the page shall begin another."""
        recording, self._recording = self._recording, None
        if recording is None:
            return
        self._tell("record", on=False, next=next)
        task = asyncio.create_task(self._finish(recording))
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _finish(self, recording: LiveRecording) -> None:
        try:
            film = await asyncio.to_thread(recording.finish)
        except FshError as error:
            self._tell("problem", what=str(error))
            return
        if film is not None:
            about = {"path": str(film.path), "frames": film.frames, "seconds": film.seconds}
            self._tell("recorded", **about, sound=film.sound, note=film.note)

    def _make(self, command: PageCommand) -> None:
        name, maker = command.text("name"), self._studio.maker
        photos = [self._photos[number] for number in sorted(self._photos)]
        try:
            if maker is None:
                raise FshError(self._studio.why_no_maker)
            if self._tasks:
                raise FshError("one person is being made already")
            maker.folder(name)
            consent = consent_of(command.about)
        except FshError as error:
            self._tell("made", problem=str(error))
            return
        self._photos = {}

        async def make() -> None:
            try:
                folder = await maker.make(name, photos, consent)
                await asyncio.to_thread(self._studio.cast.add, folder)
            except FshError as error:
                self._tell("made", problem=str(error))
                return
            for connection in self._studio.connections:
                connection.everybody_changed()
            self._tell("made", number=len(self._studio.cast) - 1, name=name)

        task = asyncio.create_task(make())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
