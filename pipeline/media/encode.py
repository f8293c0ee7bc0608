"""Writing a video: frames at given times, with the sound of another file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange

from fsh.pipeline.media.color_tags import tags_of
from fsh.pipeline.media.containers import FilmFormat, film_format
from fsh.pipeline.media.ffmpeg import file_url
from fsh.pipeline.media.sound import SoundTrack, plan_sound
from fsh.schemas.errors import FshError
from fsh.schemas.places.outputs import MADE_BY_FSH
from fsh.schemas.places.temporary import replacing

#: Seconds per tick; exact for 24, 25, 29.97, 30, 50, 59.94 and 60 frames per second.
_CLOCK = Fraction(1, 90_000)
#: Options of each encoder besides the quality. VP9 has a constant quality only at a bit rate of 0.
_OPTIONS = {
    "libx264": {"preset": "medium"},
    "libvpx-vp9": {"b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "1"},
    "libsvtav1": {"preset": "6"},
    "libaom-av1": {"cpu-used": "6", "row-mt": "1"},
}
_GIF_CLOCK = Fraction(1, 100)
#: Ticks that a picture of a GIF is shown at least: players show one of a single tick for ten.
_GIF_SHORTEST = 2


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    times: np.ndarray,
    *,
    sound_of: Path | None = None,
    crf: int = 16,
    film: FilmFormat | None = None,
) -> int:
    """Write RGB frames as a film, variable frame rate included.

    A GIF has no sound, at most 50 pictures per second, each for whole hundredths of a second:
    frames that come faster are left out, and no rounding adds up. Matroska and WebM count times
    in milliseconds.

    Args:
        path: the file to write; it appears only when it is complete.
        frames: uint8 (H, W, 3) RGB, all of one size; an odd last row or column is cut off.
        times: float64 (N,), the start of each frame in seconds on the clock of ``sound_of``.
        sound_of: a media file whose default sound track is added, in step with ``times``; what
            the format does not take is converted (:func:`~fsh.pipeline.media.sound.plan_sound`).
        crf: quality, of x264 for instance; 16 is visually lossless.
        film: the format; default: that of the name's ending.

    Returns:
        The number of frames taken.

    Raises:
        FshError: if there are more or fewer frames than times, or the file cannot be written.
    """
    film = film or film_format(path)
    ticks = np.round(np.asarray(times, np.float64) / float(_CLOCK)).astype(np.int64)
    if len(ticks) == 0:
        raise FshError("no frames to write", where=path)
    last = int(np.median(np.diff(ticks))) if len(ticks) > 1 else 3600
    durations = np.append(np.diff(ticks), last)
    pictures = _counted(frames, len(ticks), path)
    try:
        options = dict(film.options)
        if film.name == "gif":
            options["final_delay"] = str(max(_GIF_SHORTEST, round(last * _CLOCK / _GIF_CLOCK)))
        with (
            replacing(path) as temporary,
            av.open(file_url(temporary), "w", format=film.muxer, options=options) as target,
        ):
            target.metadata["comment"] = MADE_BY_FSH  # so that fsh may replace the file
            if film.name == "gif":
                _write_gif(target, pictures, gif_times(ticks * float(_CLOCK)))
                return len(ticks)
            with ExitStack() as stack:
                video = _video_stream(target, film, durations, crf)
                plan = plan_sound(sound_of, film)[0] if sound_of else None
                sound = None
                if sound_of and plan:
                    sound = stack.enter_context(SoundTrack(target, sound_of, plan))
                for count, picture in enumerate(pictures):
                    _encode(target, video, picture, int(ticks[count]), int(durations[count]))
                    if sound:
                        sound.write(until=float(ticks[count] * _CLOCK))
                target.mux(video.encode(None))
                if sound:
                    sound.write(until=float((ticks[-1] + last) * _CLOCK))
                    sound.finish()
    except av.FFmpegError as error:
        raise FshError(f"cannot write the video ({error})", where=path) from error
    return len(ticks)


def video_encoder(film: FilmFormat) -> str:
    """The video encoder for a format.

    Raises:
        FshError: if this installation has none.
    """
    for name in film.video:
        try:
            av.Codec(name, "w")
        except ValueError:
            continue
        return name
    raise FshError(
        f"this installation has no encoder for {film.name} ({', '.join(film.video)})",
        remedy="use another format, or install the wheel of av",
    )


def _video_stream(
    target: av.container.OutputContainer, film: FilmFormat, durations: np.ndarray, crf: int
) -> av.VideoStream:
    """A stream for frames on the clock of 90 kHz; its size is that of the first frame."""
    encoder = video_encoder(film)
    rate = Fraction(round(1000 / (float(np.median(durations)) * float(_CLOCK))), 1000)
    options = {"crf": str(crf), **_OPTIONS[encoder]}
    video = target.add_stream(encoder, rate=rate, options=options)
    assert isinstance(video, av.VideoStream)
    video.pix_fmt = "yuv420p"
    video.codec_context.color_range = ColorRange.MPEG
    video.time_base = video.codec_context.time_base = _CLOCK
    return video


def _encode(
    target: av.container.OutputContainer,
    video: av.VideoStream,
    picture: np.ndarray,
    tick: int,
    duration: int,
) -> None:
    """Encode a frame, uint8 (H, W, 3), at a time in ticks, for so many ticks."""
    if not video.codec_context.is_open:
        height, width = picture.shape[:2]
        video.width, video.height = width // 2 * 2, height // 2 * 2
        # Said, because players that are not told guess by the size, and not all the same.
        tags = tags_of(video.width, video.height)
        video.codec_context.colorspace = tags.matrix
        video.codec_context.color_primaries = tags.primaries
        video.codec_context.color_trc = tags.transfer
    cropped = np.ascontiguousarray(picture[: video.height, : video.width])
    frame = av.VideoFrame.from_ndarray(cropped, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=tags_of(video.width, video.height).converter,
        dst_color_range=ColorRange.MPEG,
    )
    frame.pts, frame.time_base, frame.duration = tick, _CLOCK, duration
    target.mux(video.encode(frame))


def _counted(frames: Iterable[np.ndarray], wanted: int, path: Path) -> Iterator[np.ndarray]:
    """The frames; raises FshError if they are not as many as wanted."""
    count = 0
    for frame in frames:
        if count >= wanted:
            raise FshError(f"more frames than the {wanted} times", where=path)
        count += 1
        yield frame
    if count < wanted:
        raise FshError(f"{count} frames for {wanted} times", where=path)


def gif_times(times: np.ndarray) -> np.ndarray:
    """When a GIF shows each frame, in hundredths of a second from the first frame on.

    Each is shown for two at least, the shortest that players follow; a frame that would come more
    than a hundredth late is left out.

    Args:
        times: float64 (N,), seconds.

    Returns:
        int (N,); -1 for the frames left out.
    """
    exact = (np.asarray(times, np.float64) - times[0]) * 100
    shown = np.full(len(exact), -1)
    free = 0
    for i, time in enumerate(exact):
        place = max(int(np.floor(time + 0.5)), free)
        if place - time <= 1 + 1e-6:
            shown[i], free = place, place + _GIF_SHORTEST
    return shown


def _write_gif(
    target: av.container.OutputContainer, pictures: Iterator[np.ndarray], shown: np.ndarray
) -> None:
    """Encode an animated GIF in which every picture has a palette of its own.

    Args:
        shown: of :func:`gif_times`.
    """
    graph: av.filter.Graph | None = None
    for place, picture in zip(shown.tolist(), pictures, strict=True):
        if place < 0:
            continue
        height, width = picture.shape[:2]
        if graph is None:
            graph = _palette_graph(width, height)
            video = target.add_stream("gif", rate=100)
            video.width, video.height, video.pix_fmt = width, height, "pal8"
            video.time_base = video.codec_context.time_base = _GIF_CLOCK
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = place, _GIF_CLOCK
        graph.vpush(frame)
        frame = graph.vpull()
        frame.pts, frame.time_base = place, _GIF_CLOCK
        target.mux(video.encode(frame))
    target.mux(video.encode(None))


def _palette_graph(width: int, height: int) -> av.filter.Graph:
    """Turns an RGB frame into one of at most 256 colours, chosen for it alone, dithered."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("rgb24"), time_base=_GIF_CLOCK
    )
    split = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use = graph.add("paletteuse", "new=1:dither=sierra2_4a")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
