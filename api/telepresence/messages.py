"""What page and server tell one another on the socket.

Binary messages are a kind, a number and seconds on the page's clock (``<BId``), then bytes: frames
(JPEG), sound (whatever the browser records), photos (JPEG). Texts are JSON objects: ``do`` names
what the page asks for, ``tell`` what the server has to say. A drawn frame is kind, number and
length (``<BIH``) of the JSON that follows, and after it the JPEG.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.live import DrawnFrame

_HEAD, _ANSWER = struct.Struct("<BId"), struct.Struct("<BIH")
#: Bytes of a message at most.
LONGEST = 8 << 20
_LONGEST_TEXT = 16 << 10


class Kind(IntEnum):
    """Of a binary message."""

    FRAME = 1
    SOUND = 2
    PHOTO = 3


@dataclass(frozen=True)
class PageData:
    """A binary message of the page's; ``time``: seconds on its clock."""

    kind: Kind
    number: int
    time: float
    content: bytes


@dataclass(frozen=True)
class PageCommand:
    """A text of the page's: what to do, and with what."""

    do: str
    about: Mapping[str, Any]

    def number(self, name: str, least: float = 0, most: float = 1e9) -> float:
        """A number of it.

        Raises:
            FshError: if there is none, or it is out of range.
        """
        value = self.about.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:  # type: ignore[operator]
            raise FshError(f"{self.do}: {name} must be a number from {least:g} to {most:g}")
        return float(value)  # type: ignore[arg-type]

    def text(self, name: str) -> str:
        """A text of it; raises FshError if it is none."""
        value = self.about.get(name)
        if not isinstance(value, str):
            raise FshError(f"{self.do}: {name} must be a text")
        return value

    def flag(self, name: str) -> bool:
        """A truth value of it; raises FshError if it is none."""
        value = self.about.get(name)
        if not isinstance(value, bool):
            raise FshError(f"{self.do}: {name} must be true or false")
        return value


def read_data(message: bytes) -> PageData:
    """A binary message.

    Raises:
        FshError: if it is none.
    """
    if not _HEAD.size < len(message) <= LONGEST:
        raise FshError(f"a message of {len(message)} bytes")
    kind, number, time = _HEAD.unpack_from(message)
    if kind not in {*Kind} or not math.isfinite(time):
        raise FshError("not a message of this page's")
    return PageData(Kind(kind), number, time, message[_HEAD.size :])


def data_message(data: PageData) -> bytes:
    """The inverse of :func:`read_data`."""
    return _HEAD.pack(data.kind, data.number, data.time) + data.content


def read_command(message: str) -> PageCommand:
    """A text.

    Raises:
        FshError: if it is none.
    """
    if len(message) > _LONGEST_TEXT:
        raise FshError("a text that is too long")
    try:
        about = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise FshError("a text that is no JSON") from error
    if not isinstance(about, dict) or not isinstance(about.get("do"), str):
        raise FshError("a text that asks for nothing")
    return PageCommand(about.pop("do"), about)


def answer_message(frame: DrawnFrame) -> bytes:
    """A drawn frame for the page."""
    points = None if frame.landmarks is None else frame.landmarks.astype(float).round(1).tolist()
    about = {
        "person": frame.person,
        "face": frame.landmarks is not None,
        "bridged": frame.bridged,
        "delay": round(frame.delay, 4),
        "landmarks": points,
    }
    text = json.dumps(about, separators=(",", ":")).encode()
    return _ANSWER.pack(Kind.FRAME, frame.number, len(text)) + text + frame.jpeg


def read_answer(message: bytes) -> tuple[int, dict[str, Any], bytes]:
    """The inverse of :func:`answer_message`: number, what is known of the frame, and the JPEG."""
    _, number, length = _ANSWER.unpack_from(message)
    text = message[_ANSWER.size : _ANSWER.size + length]
    return number, json.loads(text), message[_ANSWER.size + length :]


def tell(kind: str, /, **about: Any) -> str:
    """A text for the page."""
    return json.dumps({"tell": kind, **about}, ensure_ascii=True)
