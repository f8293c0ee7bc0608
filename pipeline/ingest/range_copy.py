"""A range of a remote video, copied without decoding it, from the keyframe before it.

What is read goes through the same connections as any download, under the same rule about
addresses: ffmpeg itself asks nothing of the network.
"""

from __future__ import annotations

import heapq
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from fsh.pipeline.ingest import failures
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.connections import open_url
from fsh.pipeline.ingest.download import DownloadLimits
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.transfer import read_block
from fsh.schemas.tables.records import ErrorClass

#: Containers of plain files that sites have, by libavformat's names: none refers to another file.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"
#: Bytes asked for at a time: little first, since a container's index is read in jumps.
_FIRST, _MOST = 2**18, 2**23
#: Seconds after the wanted range that are copied as well, so that its last frame has an end.
_AFTER = 0.5
#: Seconds by which a picture is decoded before it is shown, where nothing says.
_UNKNOWN = Fraction(1)
#: Muxers, the first of which takes the codecs: MP4 keeps a stream's own clock to the tick.
_MUXERS = ("mp4", "matroska")


@dataclass(frozen=True)
class RemoteStream:
    """A file on the net of which a part is wanted.

    Attributes:
        url: of it.
        headers: that it must be asked with. Cookies are not among them.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_format(cls, info: Mapping[str, Any]) -> RemoteStream:
        """A format of yt-dlp's."""
        headers = {str(k): str(v) for k, v in (info.get("http_headers") or {}).items()}
        return cls(str(info["url"]), {k: v for k, v in headers.items() if k.lower() != "cookie"})


class RemoteFile(io.RawIOBase):
    """A remote file that is read in parts, from wherever it is wanted.

    Raises:
        Failure: if it cannot be had, or the host gives no parts.
    """

    def __init__(self, stream: RemoteStream, rule: AddressRule, limits: DownloadLimits) -> None:
        self._stream, self._rule, self._limits = stream, rule, limits
        self._position, self._chunk = 0, _FIRST
        self._held, self._held_from = b"", 0
        self.failure: Failure | None = None
        self._size = 0
        self._fetch(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        if self._position >= self._size or size == 0:
            return b""
        at = self._position - self._held_from
        if not 0 <= at < len(self._held):
            try:
                self._fetch(self._position)
            except Failure as failure:  # libavformat would turn it into an error of its own
                self.failure = failure
                raise OSError(failure.text) from failure
            at = 0
        part = self._held[at : None if size < 0 else at + size]
        self._position += len(part)
        return part

    def _fetch(self, start: int) -> None:
        """Hold the file's bytes from ``start`` on, some of them."""
        follows = start == self._held_from + len(self._held)
        self._chunk = min(2 * self._chunk, _MOST) if follows and start else _FIRST
        headers = {**self._stream.headers, "Range": f"bytes={start}-{start + self._chunk - 1}"}
        url = self._stream.url
        with open_url(url, self._rule, self._limits.timeout, headers) as response:
            size = response.headers.get("Content-Range", "").rpartition("/")[2]
            if response.status != 206 or not size.isdigit():
                raise Failure(ErrorClass.PERMANENT, "no_ranges", f"{url[:200]}: no parts of it")
            blocks = []
            while block := read_block(response, url):
                blocks.append(block)
        self._held, self._held_from, self._size = b"".join(blocks), start, int(size)
        if not self._held:
            raise Failure(ErrorClass.TRANSIENT, "truncated", f"{url[:200]}: nothing at {start}")


def copy_range(
    streams: list[RemoteStream],
    target: Path,
    rule: AddressRule,
    limits: DownloadLimits,
    wanted: tuple[float, float],
) -> float:
    """Copy a range of a video into a file whose first frame is at 0.

    Args:
        streams: the file with the picture, and perhaps one with the sound.
        target: the new file; its container is MP4 where that takes the codecs, else Matroska.
        wanted: seconds at which the range starts and ends.

    Returns:
        The second of the whole video at which the new file begins, the time of a keyframe.

    Raises:
        Failure: if the files cannot be had or read, or have nothing there.
        NoRoom: no room for it.
    """
    files = [RemoteFile(stream, rule, limits) for stream in streams]
    options = {"format_whitelist": _CONTAINERS}
    try:
        inputs = [av.open(file, "r", metadata_errors="replace", options=options) for file in files]
        for muxer in _MUXERS:
            try:
                return _copied(inputs, target, muxer, wanted)
            except (ValueError, av.FFmpegError):
                if muxer == _MUXERS[-1] or any(file.failure for file in files):
                    raise
        raise AssertionError
    except (av.FFmpegError, ValueError, OSError) as error:
        if failure := next((file.failure for file in files if file.failure), None):
            raise failure from error
        if isinstance(error, OSError) and error.errno:
            raise failures.from_os(error, str(target)) from error
        text = f"{streams[0].url[:200]}: {error}"
        raise Failure(ErrorClass.PERMANENT, "not_media", text) from error


@dataclass(frozen=True)
class RangeOutcome:
    """What became of a :func:`copy_range` in a worker: the second it begins at, or a failure's."""

    begins: float | None = None
    error_class: ErrorClass = ErrorClass.TRANSIENT
    code: str = ""
    text: str = ""
    throttled: bool = False
    retry_after: float | None = None


def copy_range_in_worker(
    streams: list[RemoteStream],
    target: Path,
    rule: AddressRule,
    limits: DownloadLimits,
    wanted: tuple[float, float],
) -> RangeOutcome:
    """:func:`copy_range`, for a sandbox: a stranger's container is read there.

    Raises:
        NoRoom: no room for it.
    """
    try:
        return RangeOutcome(copy_range(streams, target, rule, limits, wanted))
    except Failure as failure:
        return RangeOutcome(
            error_class=failure.error_class,
            code=failure.code,
            text=failure.text,
            throttled=failure.throttled,
            retry_after=failure.retry_after,
        )


def _copied(
    inputs: list[av.container.InputContainer],
    target: Path,
    muxer: str,
    wanted: tuple[float, float],
) -> float:
    """:func:`copy_range` with one muxer."""
    lead = next((c for c in inputs if c.streams.video), None)
    if lead is None:
        raise Failure(ErrorClass.PERMANENT, "no_video", "no picture in it")
    pictures = lead.streams.video[0]
    sounds = next((c.streams.audio[0] for c in reversed(inputs) if c.streams.audio), None)
    origin = Fraction(lead.start_time or 0, av.time_base)
    first, last = (Fraction(second) + origin for second in wanted)
    begin = _seek_keyframe(lead, pictures, first)
    chosen = [pictures, *([sounds] if sounds else [])]
    end = last + Fraction(_AFTER)
    queues = [_packets([s for s in chosen if s.container is c], begin, end) for c in inputs]
    with av.open(str(target), "w", format=muxer) as copy:
        outputs = {id(stream): copy.add_stream_from_template(stream) for stream in chosen}
        shown_until = origin
        for dts, packet in heapq.merge(*queues, key=lambda one: one[0]):
            shift = round(begin / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, round(dts / packet.time_base) - shift
            if packet.stream is pictures:
                until = (packet.pts + shift + (packet.duration or 1)) * packet.time_base
                shown_until = max(shown_until, until)
            packet.stream = outputs[id(packet.stream)]
            copy.mux(packet)
    if begin > last or shown_until <= first:
        text = f"nothing between {wanted[0]:g} and {wanted[1]:g} s"
        raise Failure(ErrorClass.PERMANENT, "empty_range", text)
    return float(begin - origin)


def _seek_keyframe(
    container: av.container.InputContainer, pictures: av.VideoStream, wanted: Fraction
) -> Fraction:
    """Go to the last keyframe at or before a time; its own time.

    Indices count in the order of decoding, in which a keyframe comes earlier than it is shown: so
    one that is shown after all too late is tried again from further ahead.
    """
    found = wanted
    for ahead in (0, 1, 5, 25, 3600 * 24):
        _seek(container, pictures, wanted - ahead)
        for packet in container.demux(pictures):
            if packet.is_keyframe and packet.pts is not None:
                found = packet.pts * packet.time_base
                break
        else:
            found = wanted + 10**9  # nothing is there
        if found <= wanted:
            break
    start = found if found < 10**9 else wanted
    _seek(container, pictures, start)
    return found


def _seek(container: av.container.InputContainer, stream: Any, second: Fraction) -> None:
    place = max(stream.start_time or 0, int(second / stream.time_base))
    container.seek(place, stream=stream)


def _packets(streams: list[Any], begin: Fraction, end: Fraction) -> Iterator[tuple[Fraction, Any]]:
    """The packets of streams of one container that lie in a range, by when they are decoded.

    Matroska does not say when a picture is decoded, and libavformat only guesses it once some have
    passed: the first ones are put well before.
    """
    if not streams:
        return
    lead = streams[0]
    if lead.type != "video":
        _seek(lead.container, lead, begin)
    guess: dict[int, Fraction] = {}
    for packet in lead.container.demux(streams):
        if packet.pts is None:
            continue
        decoded = guess.get(packet.stream.index, packet.pts * packet.time_base - _UNKNOWN)
        decoded += packet.time_base
        if packet.dts is not None:
            decoded = packet.dts * packet.time_base
        guess[packet.stream.index] = decoded
        if packet.stream is lead and decoded > end:
            return
        if begin <= packet.pts * packet.time_base <= end:
            yield decoded, packet
