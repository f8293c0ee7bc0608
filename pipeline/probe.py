"""What a media file is, by its content and never by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av

from fsh.schemas.errors import FshError


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Container facts of a video file.

    Attributes:
        duration: seconds.
        width, height: pixels as a player shows them: square ones, after rotation.
        fps: average frames per second.
        rotation: degrees clockwise that a player turns the coded picture: 0, 90, 180, 270.
        frames: number of frames the container promises, 0 if it does not say.
    """

    duration: float
    width: int
    height: int
    fps: float
    rotation: int
    frames: int
    video_codec: str
    audio_codec: str
    pixel_format: str

    @property
    def has_audio(self) -> bool:
        return bool(self.audio_codec)


def probe(path: Path, timeout: float = 20.0) -> MediaFacts:
    """Open a file, decode its first frame and report what it is.

    Raises:
        FshError: if it is not a video that can be decoded, and why.
    """
    try:
        with av.open(str(path), timeout=timeout, metadata_errors="replace") as container:
            if not container.streams.video:
                raise FshError("no video stream", where=path, remedy="give a video file")
            stream = container.streams.video[0]
            frame = next(container.decode(stream), None)
            if frame is None:
                raise FshError("no frame can be decoded", where=path, remedy="give another file")
            rotation = round(-frame.rotation) % 360
            aspect = stream.sample_aspect_ratio or 1
            width, height = round(frame.width * aspect), frame.height
            if rotation in (90, 270):
                width, height = height, width
            if stream.duration and stream.time_base:
                duration = float(stream.duration * stream.time_base)
            else:
                duration = (container.duration or 0) / av.time_base
            audio = container.streams.audio
            return MediaFacts(
                duration=duration,
                width=width,
                height=height,
                fps=float(stream.average_rate or stream.guessed_rate or 0),
                rotation=rotation,
                frames=stream.frames,
                video_codec=stream.codec_context.name,
                audio_codec=audio[0].codec_context.name if audio else "",
                pixel_format=stream.codec_context.pix_fmt or "",
            )
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FshError(f"not a readable video ({reason})", where=path) from error
