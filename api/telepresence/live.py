"""Live: your face moves theirs, in a browser on this machine."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from fsh.defaults import Announce, AnyPath, as_paths, newest_person, newest_run
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.outputs import require_writable
from fsh.schemas.progress import Progress, Silent
from fsh.telepresence.access import Access
from fsh.telepresence.browser_video import browser_video
from fsh.telepresence.cast import Cast
from fsh.telepresence.messages import LONGEST
from fsh.telepresence.new_person import PersonMaker
from fsh.telepresence.server import application
from fsh.telepresence.studio import Studio
from fsh.telepresence.virtual_camera import VirtualCamera
from fsh.trainer.runs import Run

#: Seconds after which a thread that waits for Python's lock gets it. Drawing is a thousand short
#: operations, each of which asks for it again; beside a thread that decodes it would wait 5 ms.
_TURN = 0.0005
#: The port if none is named and it is free: browsers remember by it that the camera is allowed.
PORT = 8736


@dataclass(frozen=True)
class LiveReport:
    """What a live session was.

    Attributes:
        frames: drawn and sent to pages.
        seconds: that it ran.
        fps: frames that pages showed per second, from the first to the last.
        speed: of the last frames: latency and its stages, milliseconds.
    """

    frames: int
    seconds: float
    fps: float
    speed: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        whole = {"frames": self.frames, "seconds": self.seconds}
        return {**whole, **self.speed, "fps": self.fps}


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Threads take turns more often than Python's every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def live(
    person: AnyPath | Sequence[AnyPath] | None = None,
    *,
    people: AnyPath = "people",
    run: AnyPath | None = None,
    camera: AnyPath | None = None,
    recordings: AnyPath = "recordings",
    host: str = "127.0.0.1",
    port: int = 0,
    open_page: bool = True,
    smooth: bool = True,
    virtual_camera: bool = False,
    seconds: float | None = None,
    signing_key: AnyPath | None = None,
    watermark_key: AnyPath | None = None,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> LiveReport:
    """Serve a page whose camera moves people, until Ctrl-C.

    Sets the number of PyTorch's threads in this process, as :func:`fsh.personalize` does. Every
    picture bears the watermark of its person, recordings are signed.

    Args:
        person: folders of people, up to nine; None: the newest below ``people``.
        people: where people live, and where the page puts those it makes.
        run: the training run that makes new people; None: the newest in ``runs``, if there is one.
        camera: a video that stands in for the camera.
        recordings: where the page's films go.
        host: the address to listen at; others than this machine's own reach the page with it.
        port: 0: 8736, or another one if that is taken.
        open_page: open the page in the browser.
        smooth: smooth the landmarks over time (One Euro, forwards only).
        virtual_camera: give the drawing to other programs as a camera (``fsh[virtual-camera]``).
        seconds: end after so long; None: at Ctrl-C.
        signing_key: PEM file with certificates and key; None: this installation's.
        watermark_key: file with a secret of 16 bytes or more; None: the public key.
        announce: called once, when the page can be opened, with its address and the settings.
        progress: is told what is going on (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: no person, a consent statement that does not allow it, people cropped in
            different ways, no such video, a port that is taken, or no virtual camera.
    """
    progress = progress or Silent()
    folders = as_paths(person) if person is not None else [newest_person(people)]
    require_writable(Path(recordings) / "x")
    with ExitStack() as stack:
        stack.enter_context(_quick_turns())
        progress.start("loading people", None, "person")
        cast = Cast.of(folders, signing_key, watermark_key)
        maker, why_not = _maker(run, Path(people), cast.spec, signing_key, watermark_key)
        progress.stop()
        clip = stack.enter_context(browser_video(Path(camera), progress)) if camera else None
        device = VirtualCamera() if virtual_camera else None
        if device is not None:
            stack.callback(device.close)
        listening = stack.enter_context(_listen(host, port))
        studio = Studio(
            cast,
            Path(recordings),
            maker,
            why_not,
            clip=Path(camera).name if camera else None,
            camera=device,
            smooth=smooth,
        )
        access = Access.new(host)
        url = f"http://{_shown_host(host)}:{listening.getsockname()[1]}/{access.token}/"
        settings: dict[str, object] = {
            "person": ", ".join(map(str, folders)),
            "consent": ", ".join(dict.fromkeys(member.consent for member in cast.members)),
            "camera": camera or "the browser's",
            "recordings": recordings,
            "marked": True,
            "page": url,
        }
        if not access.local:
            progress.say(
                f"{host} can be reached from other machines: whoever has the address sees and "
                "moves these people; browsers give a camera to pages of this machine or of https "
                "only"
            )

        def started() -> None:
            if announce:
                announce(settings)
            if open_page and _has_screen():
                webbrowser.open(url)

        begun = time.monotonic()
        _serve(application(studio, access, clip, started), listening, seconds)
        timing = studio.timing
        took = time.monotonic() - begun
        return LiveReport(studio.frames, took, timing.mean_fps, timing.summary())


def _serve(app: Any, listening: socket.socket, seconds: float | None) -> None:
    """Serve until SIGINT, or for so many seconds."""
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=LONGEST,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)

    def end() -> None:
        server.should_exit = True

    timer = threading.Timer(seconds or 0, end)
    if seconds is not None:
        timer.start()
    with suppress(KeyboardInterrupt):  # raised again when the server has ended in order
        server.run(sockets=[listening])
    timer.cancel()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises FshError if the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (port,) if port else (PORT, 0):
        try:
            return socket.create_server((host, number), family=family)
        except OSError as error:
            problem = error.strerror or str(error)
    raise FshError(
        f"cannot listen here ({problem})",
        where=f"{host}:{port or PORT}",
        remedy="name another --port, or a --host of this machine's",
    )


def _shown_host(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _maker(
    run: AnyPath | None,
    people: Path,
    spec: FaceSpec,
    signing_key: AnyPath | None,
    watermark_key: AnyPath | None,
) -> tuple[PersonMaker | None, str]:
    """What makes new people, or None and why there is none.

    Raises:
        FshError: if the run that was named is none, or crops faces in another way.
    """
    try:
        chosen = Path(run) if run else newest_run()
        trained = Run.read(chosen).require_personalizable()
        spec.require(trained.spec, mine="the people here", theirs=f"run {trained.name}")
    except FshError as error:
        if run:
            raise
        return None, str(error)
    options: list[str] = []
    for name, value in (("--signing-key", signing_key), ("--watermark-key", watermark_key)):
        options += [name, str(value)] if value else []
    return PersonMaker(chosen, people, tuple(options)), ""


def _has_screen() -> bool:
    """Whether a browser has a screen here: a text browser in this terminal would not do."""
    if sys.platform.startswith(("darwin", "win")):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
