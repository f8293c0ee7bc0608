"""The clock of a video: which of its streams is shown, where its time begins and where it ends.

Second 0 is where pictures or sound begin, whichever is first, whatever number the container gives
that moment: a recording's transport stream begins anywhere. Everything in fsh counts from there.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av

from fsh.pipeline.media.color_tags import ColorReading
from fsh.pipeline.media.ffmpeg import file_url
from fsh.schemas.errors import FshError

#: Seconds by which a stream's time may run back: some muxers order packets loosely.
_BACK = 0.2
#: Seconds that a packet is taken to last at most.
_LONGEST = 1.0
#: Containers of streams, in which a pause that long is a new recording, and not a pause.
_JOINED = frozenset({"mpegts", "mpeg", "flv"})
_JOINED_GAP, _GAP = 10.0, 3600.0  # seconds
#: FFmpeg's numbers of the orders of half pictures: the upper or the lower rows first.
_INTERLACED = frozenset({2, 3, 4, 5})
_UNKNOWN = 0
#: FFmpeg's flags of containers that have no times, or in which time may run back: those are
#: searched by bytes.
_NO_TIMES, _BROKEN_TIMES = 128, 512
#: Seconds from the beginning in which nothing is sought: ffmpeg aims a little before a place, and
#: aimed before the file it begins behind the first picture.
_BEGINNING = 0.5
#: Global options of ffmpeg: with -copyts times are the container's own, whatever was sought.
ON_THE_CLOCK = ("-hide_banner", "-nostdin", "-nostats", "-copyts")
#: Among so many packets there is a picture, or nobody looks further.
_PACKETS = 64


_T = TypeVar("_T")


@dataclass(frozen=True)
class Clock:
    """Where a video's pictures are, and their second 0.

    Attributes:
        place: the stream's place among the video streams, as ffmpeg counts them (``v:0`` …).
        zero: second 0 in the container's own time.
        tick: seconds; what the container counts its pictures' time in.
        colors: how its colours are to be read.
        interlaced: whether each picture is two of half the rows, of two moments.
        is_raw: whether it is pictures one after the other without any times: after a seek nobody
            knows where it is.
        is_sought_loosely: whether a seek may end behind the place that is asked for.
    """

    place: int
    zero: Fraction
    tick: Fraction
    colors: ColorReading
    interlaced: bool
    is_raw: bool = False
    is_sought_loosely: bool = False

    def text(self, seconds: float | Fraction) -> str:
        """Seconds of the clock as ffmpeg's filters are told them: in the container's time."""
        return f"{float(self.zero + Fraction(seconds)):.6f}"

    def seeking(self, seconds: float) -> dict[str, str | int | None]:
        """Input options of ffmpeg that seek to a second of the clock, or before it.

        There are none near the beginning. ffmpeg's own cut at that place would be wrong where the
        container's time does not begin at 0.
        """
        if seconds <= _BEGINNING:
            return {}
        return {"seek_timestamp": 1, "ss": self.text(seconds), "noaccurate_seek": None}


@dataclass
class Timeline:
    """What the packets of a file say of its time.

    Attributes:
        end: seconds on the clock; the end of the last packet of pictures or sound.
        pictures_end: the same, of pictures alone.
        pictures_start: seconds on the clock; the first of them.
        pictures: packets of pictures.
        jumps: whether time runs back or leaps, as in files that were joined.
    """

    end: float = 0.0
    pictures_end: float = 0.0
    pictures_start: float = float("inf")
    pictures: int = 0
    jumps: bool = False

    @property
    def pictures_span(self) -> float:
        """Seconds from the first picture to the end of the last; 0 if their times are unknown."""
        return max(0.0, self.pictures_end - self.pictures_start)


def is_cover_art(stream: av.VideoStream) -> bool:
    """Whether a video stream is a picture that belongs to the file, and nothing to be played."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def shown_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The video stream that a player plays: no cover, no still; marked as default; the largest.

    One of a codec that this ffmpeg does not know has no ``codec_context``, and is the last choice.
    """
    streams = [s for s in container.streams.video if not is_cover_art(s)]
    moving = [s for s in streams if s.frames != 1]

    def rank(stream: av.VideoStream) -> tuple[bool, bool, int]:
        coded = stream.codec_context
        default = bool(stream.disposition & av.stream.Disposition.default)
        return coded is not None, default, coded.width * coded.height if coded else 0

    return max(moving or streams, key=rank, default=None)


def default_sound(container: av.container.InputContainer) -> av.AudioStream | None:
    """The sound track that a player plays: the one marked as default, else the first."""
    tracks = container.streams.audio
    marked = [t for t in tracks if t.disposition & av.stream.Disposition.default]
    return next(iter([*marked, *tracks]), None)


def clock_of(container: av.container.InputContainer) -> Clock:
    """The clock of an open file; its place is 0 if there is no video stream."""
    stream, sound = shown_stream(container), default_sound(container)
    starts = [
        s.start_time * Fraction(s.time_base)
        for s in (stream, sound)
        if s is not None and s.start_time is not None and s.time_base
    ]
    place = container.streams.video.index(stream) if stream is not None else 0
    tick = Fraction(stream.time_base or 0) if stream is not None else Fraction(0)
    coded = stream.codec_context if stream is not None else None
    interlaced = getattr(coded, "field_order", 0) in _INTERLACED
    zero = min(starts, default=Fraction(0))
    flags = container.format.flags
    return Clock(
        place,
        zero,
        tick,
        ColorReading.of(stream),
        interlaced,
        is_raw=bool(flags & _NO_TIMES),
        is_sought_loosely=bool(flags & _BROKEN_TIMES),
    )


def _once(look: Callable[[Path], _T]) -> Callable[[Path], _T]:
    """Look at a file once, as long as its bytes are those of then."""

    @functools.lru_cache(maxsize=64)
    def looked(path: Path, _size: int, _changed: int) -> _T:
        return look(path)

    @functools.wraps(look)
    def at(path: Path) -> _T:
        try:
            known = path.stat()
        except OSError as error:
            raise FshError(f"cannot be read ({error.strerror})", where=path) from error
        return looked(path, known.st_size, known.st_mtime_ns)

    return at


@_once
def clock_of_file(path: Path) -> Clock:
    """The clock of a file.

    Raises:
        FshError: if it cannot be opened.
    """
    with _opened(path) as container:
        clock, stream = clock_of(container), shown_stream(container)
        coded = stream.codec_context if stream is not None else None
        if coded is None or clock.interlaced or coded.field_order != _UNKNOWN:
            return clock
        # AVI, for one, does not say it, but its pictures do.
        picture = _first_picture(container)
        return replace(clock, interlaced=picture is not None and bool(picture.interlaced_frame))


@_once
def turned_of_file(path: Path) -> int:
    """Degrees counter-clockwise that a player turns a video's pictures.

    Raises:
        FshError: if it cannot be opened.
    """
    with _opened(path) as container:
        picture = _first_picture(container)
        return round(picture.rotation) % 360 if picture is not None else 0


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    try:
        options = {"protocol_whitelist": "file"}
        with av.open(file_url(path), metadata_errors="replace", options=options) as container:
            yield container
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FshError(f"cannot be decoded ({reason})", where=path) from error


def _first_picture(container: av.container.InputContainer) -> av.VideoFrame | None:
    """A picture from the beginning of a file; None if there is none that can be decoded."""
    stream = shown_stream(container)
    if stream is not None and stream.codec_context is not None:
        with contextlib.suppress(av.FFmpegError, EOFError):
            for packet in islice(container.demux(stream), _PACKETS):
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        return frame
    return None


def longest_gap(container: av.container.InputContainer) -> float:
    """Seconds that time may leap forward before it is another recording's."""
    return _JOINED_GAP if container.format.name in _JOINED else _GAP


class JumpDetector:
    """Is given the packets of a file in order, and knows where a stream's time runs back or leaps.

    Args:
        gap: seconds that time may leap forward.
    """

    def __init__(self, gap: float) -> None:
        self._gap = gap
        #: Of each stream the time of decoding of its last packet, and the latest that was shown.
        self._last: dict[int, tuple[float, float]] = {}

    def jumps(self, packet: av.Packet) -> bool:
        """Whether the next packet of a stream is no successor of the one before."""
        if packet.dts is None or packet.pts is None:  # its time is known, and not its place
            return False
        stream, base = packet.stream_index, packet.time_base
        order, shown = float(packet.dts * base), float(packet.pts * base)
        last, reach = self._last.get(stream, (order, order))
        jump = order < last - _BACK or order > max(last, reach) + self._gap
        self._last[stream] = order, max(order, shown if jump else max(shown, reach))
        return jump


def survey(container: av.container.InputContainer) -> Timeline:
    """Read all packets from here on and say what time they take; damaged ones do not count."""
    known, zero = Timeline(), float(clock_of(container).zero)
    detector = JumpDetector(longest_gap(container))
    stream, sound = shown_stream(container), default_sound(container)
    for packet in packets(container, [s for s in (stream, sound) if s is not None]):
        is_picture = stream is not None and packet.stream_index == stream.index
        known.pictures += is_picture
        if packet.pts is None or packet.time_base is None or packet.is_corrupt:
            continue
        time = float(packet.pts * packet.time_base) - zero
        known.jumps |= detector.jumps(packet)
        # In files with a pause the frame before it lasts as long, in the order of decoding.
        end = time + min(float((packet.duration or 0) * packet.time_base), _LONGEST)
        known.end = max(known.end, end)
        if is_picture:
            known.pictures_end = max(known.pictures_end, end)
            known.pictures_start = min(known.pictures_start, time)
    return known


def packets(
    container: av.container.InputContainer, streams: list[av.VideoStream | av.AudioStream]
) -> Iterator[av.Packet]:
    """The packets of some streams that hold something, as far as the file can be read."""
    try:
        for packet in container.demux(streams):
            if packet.size:
                yield packet
    except (av.FFmpegError, EOFError):
        return  # what came before counts
