"""What a live session hands around: camera frames, drawn frames, and where the time went."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: The stages of one frame on the server, in order.
STAGES = ("wait", "decode", "detect", "landmarks", "adapt", "queue", "draw", "mark", "encode")


@dataclass(frozen=True)
class CameraFrame:
    """One picture of the camera, as the page sent it.

    Attributes:
        number: counted by the page from 0; echoed.
        captured: seconds on the page's clock.
        jpeg: the picture.
        arrived: seconds on the server's monotonic clock.
    """

    number: int
    captured: float
    jpeg: bytes
    arrived: float


@dataclass(frozen=True)
class DrawnFrame:
    """The answer to a camera frame.

    Attributes:
        number: of the camera frame.
        captured: of the camera frame.
        person: number of the person drawn, in the order of the page's keys, from 0.
        jpeg: the marked drawing; empty if there was no face to draw.
        landmarks: float32 (68, 2), the face in pixels of the camera's picture; None without one.
        bridged: whether the face of an earlier frame was drawn.
        delay: seconds that the drawn face lags behind the frame, by smoothing and bridging.
        stages: seconds of each of :data:`STAGES`.
        picture: uint8 (H, W, 3) RGB, the marked drawing; None if there was no face.
    """

    number: int
    captured: float
    person: int
    jpeg: bytes = b""
    landmarks: np.ndarray | None = None
    bridged: bool = False
    delay: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    picture: np.ndarray | None = None
