"""What all open pages of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fsh.telepresence.cast import Cast
from fsh.telepresence.new_person import PersonMaker
from fsh.telepresence.timing import LiveTiming
from fsh.telepresence.virtual_camera import VirtualCamera


class OpenPage(Protocol):
    """A page that is open."""

    def everybody_changed(self) -> None:
        """Tell the page who can be chosen now."""


@dataclass
class Studio:
    """What all pages share.

    Attributes:
        recordings: where films go.
        maker: makes new people; None: there is no training run, which ``why_no_maker`` tells.
        clip: the name of the video that stands in for the camera; None: pages use a real one.
        frames: frames drawn by all pages so far.
    """

    cast: Cast
    recordings: Path
    maker: PersonMaker | None = None
    why_no_maker: str = ""
    clip: str | None = None
    camera: VirtualCamera | None = None
    smooth: bool = True
    frames: int = 0
    connections: set[OpenPage] = field(default_factory=set)
    timing: LiveTiming = field(default_factory=LiveTiming)
