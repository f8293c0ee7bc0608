"""What is on its way to a page: texts in their order, and the newest drawing."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from fsh.schemas.live import DrawnFrame
from fsh.telepresence.messages import answer_message, tell

#: Seconds between two reports of speed.
_REPORT_EVERY = 0.5
#: Texts that may wait; of more, which only a page that does not read has, the oldest are lost.
_MOST_TEXTS = 100


class Outbox:
    """Sends to one socket; all but :meth:`send` is called in its event loop and never waits.

    Args:
        report: makes the text that tells the page how fast it is.
    """

    def __init__(self, socket: WebSocket, report: Callable[[], str]) -> None:
        self._socket, self._report = socket, report
        self._answer: DrawnFrame | None = None
        self._texts: deque[str] = deque(maxlen=_MOST_TEXTS)
        self._wake = asyncio.Event()
        self._closing: int | None = None

    def tell(self, kind: str, /, **about: Any) -> None:
        """Send a text."""
        self._texts.append(tell(kind, **about))
        self._wake.set()

    def answer(self, frame: DrawnFrame) -> None:
        """Send a drawing, in place of one that was not sent yet: that is late."""
        self._answer = frame
        self._wake.set()

    def close(self, code: int) -> None:
        """Close the socket when everything is sent."""
        self._closing = code
        self._wake.set()

    async def send(self) -> None:
        """Send whatever comes, until the socket is closed."""
        reported = 0.0
        with suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._texts:
                    await self._socket.send_text(self._texts.popleft())
                answer, self._answer = self._answer, None
                if answer is not None:
                    await self._socket.send_bytes(answer_message(answer))
                if (now := time.monotonic()) - reported > _REPORT_EVERY:
                    reported = now
                    await self._socket.send_text(self._report())
                if self._closing is not None:
                    await self._socket.close(self._closing)
                    return
