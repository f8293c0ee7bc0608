"""The sound of a film: taken from another file, copied where that is possible, else converted."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, cast

import av

from fsh.pipeline.media.clock import clock_of, default_sound
from fsh.pipeline.media.containers import FilmFormat
from fsh.pipeline.media.ffmpeg import file_url

#: Layouts of so many channels where a file does not say which they are.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
#: Packets that are tried before sound is copied.
_TRIED = 8
_BIT_RATE = 96_000  # per channel


class SoundPlan(NamedTuple):
    """How a file's sound gets into a film.

    Attributes:
        stream: its number in its file.
        encoder: its name, or empty where packets are copied unchanged.
        rate: samples per second of the encoder.
        layout: channel layout of the encoder.
    """

    stream: int
    encoder: str = ""
    rate: int = 0
    layout: str = ""


def default_sound_number(path: Path) -> int | None:
    """The default sound track's number among a file's sound tracks; None if it has no sound."""
    try:
        with av.open(file_url(path), metadata_errors="replace") as source:
            track = default_sound(source)
            return None if track is None else source.streams.audio.index(track)
    except (av.FFmpegError, OSError):
        return None


def plan_sound(path: Path, film: FilmFormat) -> tuple[SoundPlan | None, str]:
    """How the sound of a file gets into a film, and why it does not; the reason is one line.

    Returns:
        None and an empty reason if the file has no sound.
    """
    try:
        with av.open(file_url(path), metadata_errors="replace") as source:
            track = default_sound(source)
            if track is None:
                return None, ""
            if not film.sound:
                return None, f"a {film.name} film has no sound"
            if codec_name(track) in film.copied and _can_be_copied(source, track, film):
                return SoundPlan(track.index), ""
            return _encoding(path, track.index, film)
    except (av.FFmpegError, OSError, ValueError) as error:
        return None, f"its sound cannot be read ({_reason(error)})"


class SoundTrack:
    """The sound of a file on its way into a film; use as a context manager."""

    def __init__(self, target: av.container.OutputContainer, path: Path, plan: SoundPlan) -> None:
        """Add the stream to ``target``; the video's encoder is opened before the first packet."""
        self._target, self._plan = target, plan
        self._source = av.open(file_url(path), metadata_errors="replace")
        track = _track(self._source, plan.stream)
        self._parts: Iterator[tuple[float, av.Packet | av.AudioFrame]]
        if plan.encoder:
            added = target.add_stream(plan.encoder, rate=plan.rate)
            assert isinstance(added, av.AudioStream)
            self._stream = added
            self._stream.layout = plan.layout
            channels = len(av.AudioLayout(plan.layout).channels)
            self._stream.bit_rate = max(128_000, _BIT_RATE * channels)
            self._parts = _converted(self._source, track, plan)
        else:
            self._stream = target.add_stream_from_template(track)
            self._parts = _copied(self._source, track)
        self._waiting: tuple[float, av.Packet | av.AudioFrame] | None = None
        self._last_dts: int | None = None

    def __enter__(self) -> SoundTrack:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def write(self, until: float) -> None:
        """Write the sound before ``until``, seconds on the clock of the video's frames."""
        while True:
            self._waiting = self._waiting or next(self._parts, None)
            if self._waiting is None or self._waiting[0] >= until:
                return
            part, self._waiting = self._waiting[1], None
            self._mux([part] if isinstance(part, av.Packet) else self._stream.encode(part))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._plan.encoder:
            self._mux(self._stream.encode(None))

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            packet.stream = self._stream
            if packet.dts is None or (self._last_dts is not None and packet.dts <= self._last_dts):
                continue  # damaged files repeat times, which no container takes
            self._last_dts = packet.dts
            self._target.mux(packet)


def _copied(
    source: av.container.InputContainer, track: av.AudioStream
) -> Iterator[tuple[float, av.Packet]]:
    """Packets with the time at which they begin, on the clock of decoded frames."""
    zero = clock_of(source).zero
    for packet in _demuxed(source, track):
        if packet.dts is None or packet.pts is None:
            continue
        shift = round(zero / packet.time_base)
        packet.pts -= shift
        packet.dts -= shift
        yield float(packet.pts * packet.time_base), packet


def _converted(
    source: av.container.InputContainer, track: av.AudioStream, plan: SoundPlan
) -> Iterator[tuple[float, av.AudioFrame]]:
    """As :func:`_copied`, decoded frames in the encoder's rate and layout."""
    zero, end = clock_of(source).zero, 0
    for frame in _resampled(_decoded(source, track), plan):
        # Resamplers keep the source's clock where they have nothing to do, and what they hold back
        # to the end has no time of its own.
        begin = end
        if frame.pts is not None and frame.time_base:
            begin = round((frame.pts * frame.time_base - zero) * plan.rate)
        frame.pts, frame.time_base = begin, Fraction(1, plan.rate)
        end = begin + frame.samples
        yield begin / plan.rate, frame


def _resampled(frames: Iterator[av.AudioFrame], plan: SoundPlan) -> Iterator[av.AudioFrame]:
    """Frames converted to the plan's rate and layout; the last of each kind has no time."""
    resampler: av.AudioResampler | None = None
    kind = None

    def rest() -> Iterator[av.AudioFrame]:
        for frame in resampler.resample(None) if resampler else []:
            frame.pts = None
            yield frame

    for frame in frames:
        if resampler is None or kind != (frame.format.name, frame.layout.name, frame.rate):
            yield from rest()  # a stream may change on the way, and a resampler does not
            resampler = av.AudioResampler("fltp", plan.layout, plan.rate)
            kind = frame.format.name, frame.layout.name, frame.rate
        yield from resampler.resample(frame)
    yield from rest()


def _decoded(source: av.container.InputContainer, track: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Frames with their times; packets that cannot be decoded are left out."""
    end = 0.0
    for packet in _demuxed(source, track):
        for frame in map(_with_layout, _frames_of(packet)):
            if frame.pts is None or not frame.time_base:
                frame.pts, frame.time_base = round(end * frame.rate), Fraction(1, frame.rate)
            end = float(frame.pts * frame.time_base) + frame.samples / frame.rate
            yield frame


def _frames_of(packet: av.Packet) -> list[av.AudioFrame]:
    """What a packet of sound holds; nothing if it cannot be decoded."""
    try:
        return cast(list[av.AudioFrame], packet.decode())
    except av.FFmpegError:
        return []


def _demuxed(source: av.container.InputContainer, track: av.AudioStream) -> Iterator[av.Packet]:
    """Packets as far as the file can be read, and at the end one that empties the decoder."""
    with contextlib.suppress(av.error.InvalidDataError, av.error.EOFError):
        yield from source.demux(track)


def _with_layout(frame: av.AudioFrame) -> av.AudioFrame:
    """The frame, its channels named as usual if the file does not name them."""
    if not any(word in frame.layout.name for word in ("channels", "ambisonic")):
        return frame
    count, packed = len(frame.layout.channels), frame
    if frame.format.is_planar:  # of more than eight planes PyAV would read beyond the end
        (packed,) = av.AudioResampler(frame.format.packed, frame.layout, frame.rate).resample(frame)
    samples: Any = packed.to_ndarray().reshape(-1, count)
    layout = _LAYOUTS.get(count, "stereo")
    kept: Any = samples[:, : len(av.AudioLayout(layout).channels)].reshape(1, -1)
    named = av.AudioFrame.from_ndarray(kept, format=packed.format.name, layout=layout)
    named.sample_rate, named.pts, named.time_base = frame.rate, frame.pts, frame.time_base
    return named


def _track(source: av.container.InputContainer, number: int) -> av.AudioStream:
    return next(track for track in source.streams.audio if track.index == number)


def codec_name(track: av.AudioStream) -> str:
    """Name of a track's decoder; ``unknown`` if there is none."""
    return track.codec_context.name if track.codec_context else "unknown"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _can_be_copied(
    source: av.container.InputContainer, track: av.AudioStream, film: FilmFormat
) -> bool:
    """Whether the format's muxer takes the sound as it is; some refuse rates or broken headers."""
    try:
        with av.open(io.BytesIO(), "w", format=film.muxer, options=dict(film.options)) as trial:
            stream = trial.add_stream_from_template(track)
            written = 0
            for _, packet in _copied(source, track):
                packet.stream = stream
                trial.mux(packet)
                written += 1
                if written == _TRIED:
                    break
        return written > 0
    except (av.FFmpegError, ValueError):
        return False


def _encoding(path: Path, index: int, film: FilmFormat) -> tuple[SoundPlan | None, str]:
    """A plan in which the encoder takes what the decoder gives, both of them tried."""
    with av.open(file_url(path), metadata_errors="replace") as source:
        track = _track(source, index)
        if track.codec_context is None:
            return None, "its sound is in a codec that cannot be decoded"
        for packet in _demuxed(source, track):
            if frames := _frames_of(packet):
                break
        else:
            return None, "its sound cannot be decoded"
    frame = _with_layout(frames[0])
    rates = sorted(av.Codec(film.sound, "w").audio_rates or [frame.rate])
    rate = next((r for r in rates if r >= frame.rate), rates[-1])
    count = len(frame.layout.channels)
    # Variants such as 5.1(side) are put as the plain layout, which every player knows.
    own = frame.layout.name
    for layout in (own.partition("(")[0], own, _LAYOUTS.get(count, "stereo"), "stereo", "mono"):
        with contextlib.suppress(av.FFmpegError, ValueError):
            encoder: Any = av.CodecContext.create(film.sound, "w")
            encoder.sample_rate, encoder.layout = rate, layout
            encoder.format = encoder.codec.audio_formats[0]
            encoder.open()
            av.AudioResampler("fltp", layout, rate).resample(frame)
            return SoundPlan(index, film.sound, rate, layout), ""
    return None, f"its sound cannot be encoded for a {film.name} film"
