"""Decoding through ffmpeg: frames of a stretch or a region of a video, with exact times.

Times are seconds on the video's clock (:mod:`fsh.pipeline.media.clock`). They come from the
presentation time stamps that ffmpeg's ``showinfo`` writes for every frame, so they are exact on
variable frame rate and after seeking, and the same frame has the same time in every pass. They
always increase: of frames that share a time the first is taken.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, NamedTuple

import ffmpeg
import numpy as np

from fsh.pipeline.media.clock import ON_THE_CLOCK, clock_of_file, turned_of_file
from fsh.pipeline.media.color_filters import as_standard
from fsh.pipeline.media.deinterlacing import deinterlaced
from fsh.pipeline.media.ffmpeg import binary, file_url
from fsh.pipeline.media.frame_log import FrameLog
from fsh.pipeline.media.regions import Region
from fsh.schemas.errors import FshError

#: Seconds; ``-ss`` and ``trim`` round to microseconds: a frame on the edge must fall inside.
_SLACK = 0.002
#: Seconds by which a seek aims before a place that it might miss, or whose past is needed.
_EARLIER = 1.0
#: Seconds by which a frame may lie before the one it follows; then it is left out.
_SLIP = 0.5


class Frame(NamedTuple):
    """A decoded frame: seconds on the video's clock, and uint8 pixels.

    RGB frames have the shape (H, W, 3); I420 frames (H · 3 / 2, W): luma above, chroma below.
    """

    time: float
    pixels: np.ndarray


def proxy_size(width: int, height: int, shorter: int) -> tuple[int, int]:
    """Even (width, height) of a frame scaled so that its shorter side is at most ``shorter``."""
    scale = min(1.0, shorter / min(width, height))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def read_proxy(
    path: Path, size: tuple[int, int], start: float | None = None, end: float | None = None
) -> Iterator[Frame]:
    """Decode [start, end) scaled to an even ``size`` = (width, height), as I420.

    Luma comes as it was coded, which the face detector needs; chroma costs half a byte a pixel
    and no conversion. ``area`` averages, so that nothing aliases into the shot detector.
    """

    def scaled(stream: ffmpeg.Stream) -> ffmpeg.Stream:
        return stream.filter("scale", *size, flags="area").filter("setsar", 1)

    yield from _read(path, scaled, "yuv420p", start, end, late=0.1)


def read_region(
    path: Path,
    size: tuple[int, int],
    region: Region,
    start: float | None = None,
    end: float | None = None,
) -> Iterator[Frame]:
    """Decode [start, end) at full resolution, as RGB, and only a region of every frame.

    Args:
        size: the frame's width and height as a player shows them.
        region: inside the frame; made by :func:`~fsh.pipeline.media.regions.enclosing_region`.
        start: the time of a frame.
    """
    left, top, right, bottom = region
    colors = clock_of_file(path).colors

    def cropped(stream: ffmpeg.Stream) -> ffmpeg.Stream:
        whole = as_standard(stream, size, colors).filter("setsar", 1)
        return whole.filter("crop", right - left, bottom - top, left, top, exact=1)

    yield from _read(path, cropped, "rgb24", start, end, late=0.001)


def _read(
    path: Path,
    transform: Callable[[ffmpeg.Stream], ffmpeg.Stream],
    pixel_format: str,
    start: float | None,
    end: float | None,
    *,
    late: float,
    whole: bool = False,
) -> Iterator[Frame]:
    """Decode [start, end) by seeking to the key frame before it, or from the beginning.

    From the first interlaced picture on of a video that does not begin so, pictures are made whole.
    Where a seek ends behind the requested place, more than ``late`` seconds, the file is read from
    the beginning; so is one of raw pictures, whose times after a seek are made up.
    """
    rest = functools.partial(_read, path, transform, pixel_format, late=late, whole=True)
    if start and not clock_of_file(path).is_raw:
        frames = _decode(path, transform, pixel_format, start, end, seek=True, whole=whole)
        with contextlib.closing(frames):
            try:
                first = next(frames)
            except StopIteration as ended:
                if ended.value is not None:
                    yield from rest(start, end)
                    return
            except FshError:
                pass
            else:
                if first.time <= start + late:
                    yield first
                    begin = yield from frames
                    if begin is not None:
                        yield from rest(begin, end)
                    return
    begin = yield from _decode(path, transform, pixel_format, start, end, seek=False, whole=whole)
    if begin is not None:
        yield from rest(begin, end)


def _decode(
    path: Path,
    transform: Callable[[ffmpeg.Stream], ffmpeg.Stream],
    pixel_format: str,
    start: float | None,
    end: float | None,
    *,
    seek: bool,
    whole: bool,
) -> Generator[Frame, None, float | None]:
    """Run ffmpeg once and yield the frames of [start, end).

    Where pictures are not made whole it ends before the first of them that is interlaced, whose
    time it returns.

    Args:
        transform: adds the filters that scale or crop.
        whole: interlaced pictures are made whole, though the video does not begin with such.
        seek: whether to seek before decoding; otherwise what is before ``start`` is dropped.

    Raises:
        FshError: if ffmpeg fails, with the last lines that it wrote.
    """
    clock = clock_of_file(path)
    first = max(0.0, (start or 0.0) - _SLACK)
    whole = whole or clock.interlaced
    place = first - (_EARLIER if clock.is_sought_loosely or whole else 0.0)
    options = clock.seeking(place) if seek else {}
    stream = ffmpeg.input(file_url(path), threads=1, **options)[f"v:{clock.place}"]
    if whole:
        stream = deinterlaced(stream, turned_of_file(path))
    edges = {}
    if start:
        edges["start"] = clock.text(first)
    if end is not None:
        # ffmpeg rounds it to a tick, which in some containers is as long as a frame.
        edges["end"] = clock.text(Fraction(end + _SLACK) + clock.tick)
    stream = (
        transform(stream.filter("trim", **edges) if edges else stream)
        .filter("format", pixel_format)
        .filter("showinfo", checksum=0)
    )
    command = (
        stream.output("pipe:", format="rawvideo", fps_mode="passthrough")
        .global_args(*ON_THE_CLOCK, "-filter_threads", "1", "-v", "info")
        .compile(binary())
    )
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    log = FrameLog(process.stderr, clock.zero, until_interlaced=not whole)
    try:
        frames = _read_frames(process.stdout, log, pixel_format, start, end)
        yield from _forward(frames, path)
        if log.interlaced is not None:
            return max(start or 0.0, log.interlaced)
        process.stdout.close()
        if process.wait() != 0:
            raise FshError(f"cannot be decoded ({log.last_lines()})", where=path)
        return None
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
        log.join()


def _read_frames(
    stdout: IO[bytes], log: FrameLog, pixel_format: str, start: float | None, end: float | None
) -> Iterator[Frame]:
    """Raw frames from ffmpeg's output, each with its time from the log, those of [start, end)."""
    while (entry := log.next()) is not None:
        time, width, height = entry
        shape = (height, width, 3) if pixel_format == "rgb24" else (height * 3 // 2, width)
        pixels = np.empty(shape, np.uint8)
        view = pixels.data.cast("B")
        read = 0
        while read < len(view):
            count = stdout.readinto(view[read:])  # type: ignore[attr-defined]
            if not count:
                return
            read += count
        if (start or 0.0) <= time < (float("inf") if end is None else end):
            yield Frame(time, pixels)


def _forward(frames: Iterator[Frame], path: Path) -> Iterator[Frame]:
    """Frames without those that come no later than the one before.

    Raises:
        FshError: if time runs back further than by a slip.
    """
    last = -float("inf")
    for frame in frames:
        if frame.time > last:
            yield frame
            last = frame.time
        elif frame.time < last - _SLIP:
            raise FshError(
                f"its time runs back from {last:.2f} to {frame.time:.2f} s",
                where=path,
                remedy="give it one clock: ffmpeg -i FILE -c copy NEW.mkv",
            )
