"""Writing a video: frames at given times, with the sound of another file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.layout import replacing
from fsh.schemas.outputs import MADE_BY_FSH

#: Seconds per tick; exact for 24, 25, 29.97, 30, 50, 59.94 and 60 frames per second.
_CLOCK = Fraction(1, 90_000)
#: Audio codecs that are copied into MP4 unchanged; anything else is re-encoded as AAC.
_MP4_SOUND = {"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "alac"}


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    times: np.ndarray,
    *,
    sound_of: Path | None = None,
    crf: int = 16,
) -> int:
    """Write RGB frames as H.264 in MP4, variable frame rate included.

    Args:
        path: the file to write; it appears only when it is complete.
        frames: uint8 (H, W, 3) RGB, all of one size; an odd last row or column is cut off.
        times: float64 (N,), the start of each frame in seconds on the clock of ``sound_of``.
        sound_of: a media file whose first audio stream is added, in step with ``times``.
        crf: quality of x264; 16 is visually lossless.

    Returns:
        The number of frames written.

    Raises:
        FshError: if there are more or fewer frames than times, or the file cannot be written.
    """
    ticks = np.round(np.asarray(times, np.float64) / float(_CLOCK)).astype(np.int64)
    if len(ticks) == 0:
        raise FshError("no frames to write", where=path)
    last = int(np.median(np.diff(ticks))) if len(ticks) > 1 else 3600
    durations = np.append(np.diff(ticks), last)
    rate = Fraction(round(1000 / (float(np.median(durations)) * float(_CLOCK))), 1000)
    count = 0
    try:
        # The offset of the first frame is stored on the movie's clock, which by default ticks in
        # milliseconds.
        clock = {"movie_timescale": str(_CLOCK.denominator)}
        with (
            replacing(path) as temporary,
            av.open(str(temporary), "w", format="mp4", options=clock) as target,
        ):
            target.metadata["comment"] = MADE_BY_FSH  # so that fsh may replace the file
            options = {"crf": str(crf), "preset": "medium"}
            video = target.add_stream("libx264", rate=rate, options=options)
            video.pix_fmt = "yuv420p"
            video.time_base = video.codec_context.time_base = _CLOCK
            sound = _AudioTrack(target, sound_of) if sound_of else None
            for picture in frames:
                if count >= len(ticks):
                    raise FshError(f"more frames than the {len(ticks)} times", where=path)
                if count == 0:
                    height, width = picture.shape[:2]
                    video.width, video.height = width // 2 * 2, height // 2 * 2
                cropped = np.ascontiguousarray(picture[: video.height, : video.width])
                frame = av.VideoFrame.from_ndarray(cropped, format="rgb24")
                frame.pts, frame.time_base = int(ticks[count]), _CLOCK
                frame.duration = int(durations[count])
                target.mux(video.encode(frame))
                count += 1
            target.mux(video.encode(None))
            if count < len(ticks):
                raise FshError(f"{count} frames for {len(ticks)} times", where=path)
            if sound:
                sound.copy(until=float((ticks[-1] + last) * _CLOCK))
    except av.FFmpegError as error:
        raise FshError(f"cannot write the video ({error})", where=path) from error
    return count


class _AudioTrack:
    """The first audio stream of a file, copied or re-encoded into another."""

    def __init__(self, target: av.container.OutputContainer, path: Path) -> None:
        self._target, self._path = target, path
        with av.open(str(path)) as source:
            streams = source.streams.audio
            self._found = bool(streams)
            if not self._found:
                return
            codec = streams[0].codec_context
            self._as_is = codec.name in _MP4_SOUND
            if self._as_is:
                self._stream = target.add_stream_from_template(streams[0])
            else:
                self._stream = target.add_stream("aac", rate=codec.sample_rate)

    def copy(self, until: float) -> None:
        """Write the sound from the start to ``until`` seconds."""
        if not self._found:
            return
        with av.open(str(self._path)) as source:
            stream = source.streams.audio[0]
            for packet in source.demux(stream):
                base = packet.time_base
                if packet.pts is not None and base and float(packet.pts * base) >= until:
                    break
                if self._as_is:
                    if packet.dts is not None:
                        packet.stream = self._stream
                        self._target.mux(packet)
                    continue
                for frame in packet.decode():
                    self._target.mux(self._stream.encode(frame))
            if not self._as_is:
                self._target.mux(self._stream.encode(None))
