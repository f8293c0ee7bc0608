"""A copy of a file whose time runs back or leaps, in which it runs on: nothing is coded anew.

Recordings are joined by appending one file to another, and devices set their clock on the way. No
player finds its way in such a file, and a frame's time does not say which one it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from fsh.pipeline.media.clock import (
    JumpDetector,
    clock_of,
    default_sound,
    longest_gap,
    packets,
    shown_stream,
)
from fsh.pipeline.media.ffmpeg import file_url
from fsh.pipeline.media.probe import MediaFacts, probe
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom, is_disk_full
from fsh.schemas.places.temporary import lasting_scratch_folder

#: The container of the copies: it takes every codec, and is sought exactly.
SUFFIX = ".mkv"
_MUXER = "matroska"
#: Seconds between a picture's decoding and its showing, at most.
_REORDERED = 1
#: Seconds within which a stream that leaps is taken to follow another that has leapt already.
_TOGETHER = 5.0


#: The temporary copies, by file, size and time of change; removed when the process ends.
_copies: dict[tuple[Path, int, int], Path] = {}


def with_one_clock(path: Path) -> tuple[Path, MediaFacts]:
    """A video whose time runs on, and its facts: the file itself, or a copy kept for the process.

    Raises:
        NotAVideo: if it is no video.
        FshError: if it cannot be copied.
    """
    facts = probe(path)
    if not facts.jumps:
        return path, facts
    known = path.stat()
    key = path.resolve(), known.st_size, known.st_mtime_ns
    if key not in _copies:
        copy = lasting_scratch_folder("one-clock") / f"{path.stem}{SUFFIX}"
        copy_with_one_clock(path, copy)
        _copies[key] = copy
    return _copies[key], probe(_copies[key])


def copy_with_one_clock(path: Path, copy: Path) -> None:
    """Write a file's pictures and sound anew, each recording in it after the one before.

    The same file gives the same bytes.

    Args:
        copy: the file to write; Matroska, whatever it is called.

    Raises:
        FshError: if the file cannot be read, or its codecs not be copied.
        NoRoom: if the disk is full.
    """
    options = {"fflags": "+bitexact"}  # otherwise it bears a random number
    try:
        with (
            av.open(file_url(path), metadata_errors="replace") as source,
            av.open(file_url(copy), "w", format=_MUXER, options=options) as target,
        ):
            streams = [s for s in (shown_stream(source), default_sound(source)) if s is not None]
            copies = {s.index: target.add_stream_from_template(s) for s in streams}
            for packet in _in_one_time(source, streams):
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        if is_disk_full(error):
            raise NoRoom(copy.parent) from error
        raise FshError(
            f"its time runs back, and it cannot be copied with one clock ({error})",
            where=path,
            remedy="join the recordings anew with a video editor",
        ) from error


def _in_one_time(
    source: av.container.InputContainer, streams: list[av.VideoStream | av.AudioStream]
) -> Iterator[av.Packet]:
    """The packets of some streams, with times from 0 on that never run back."""
    zero, detector = clock_of(source).zero, JumpDetector(longest_gap(source))
    shift = {stream.index: -zero for stream in streams}
    newest, end = -zero, Fraction(0)
    written: dict[int, int] = {}
    steps = {stream.index: _step(stream) for stream in streams}
    for packet in packets(source, streams):
        index, base = packet.stream_index, Fraction(packet.time_base)
        order = packet.pts if packet.dts is None else packet.dts
        if order is None:
            continue
        shown = order if packet.pts is None else packet.pts
        time = shown * base
        if packet.is_corrupt:  # the last of a recording often is said to be, and is whole
            if abs(time + shift[index] - end) > _REORDERED:
                continue
        elif detector.jumps(packet):
            # The first stream that leaps says where; the others leap there too.
            if abs(time + newest - end) > _TOGETHER or newest == shift[index]:
                newest = end - time
            shift[index] = newest
        by = round(shift[index] / base)
        # Times of decoding are not always true: of a second recording in Matroska they are those of
        # showing. They are written early enough for any order, and the container keeps none.
        early = order + by - round(_REORDERED / base)
        dts = max(early, written[index] + 1) if index in written else early
        if packet.pts is not None:
            packet.pts = max(packet.pts + by, dts)
        packet.dts = written[index] = dts
        length = (packet.duration or 0) * base
        end = max(end, (shown + by) * base + (length if 0 < length <= 1 else steps[index]))
        yield packet


def _step(stream: av.VideoStream | av.AudioStream) -> Fraction:
    """Seconds that a packet lasts which does not say so."""
    rate = stream.average_rate if isinstance(stream, av.VideoStream) else None
    return 1 / Fraction(rate) if rate else Fraction(1, 50)
