"""What a media file is, by its content and never by its name, and which files are accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from fsh.pipeline.media.clock import (
    Timeline,
    clock_of,
    default_sound,
    shown_stream,
    survey,
)
from fsh.pipeline.media.ffmpeg import file_url
from fsh.pipeline.media.joined_files import holds_another
from fsh.pipeline.media.no_video import what_instead
from fsh.pipeline.media.sound import codec_name
from fsh.schemas.errors import FshError

# Containers that are one self-contained file. Playlists and manifests are not among them: they
# would make the demuxer open whatever other files or URLs they name.
_CONTAINERS = {
    "mov,mp4,m4a,3gp,3g2,mj2": "mp4",
    "matroska,webm": "mkv",
    "avi": "avi",
    "mpegts": "ts",
    "mpeg": "mpg",
    "mpegvideo": "mpg",
    "flv": "flv",
    "asf": "wmv",
    "ogg": "ogv",
    "mxf": "mxf",
    "ivf": "ivf",
    "h264": "h264",
    "hevc": "hevc",
    "vvc": "vvc",
    "obu": "obu",
    "m4v": "m4v",
    "h263": "h263",
    "dv": "dv",
    "yuv4mpegpipe": "y4m",
    "rm": "rm",
    "nut": "nut",
    "gif": "gif",
    "apng": "png",
}
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1"})
_SHORTEST_SIDE, _LONGEST_SIDE = 32, 8192
#: A file that holds less than this share of its stated duration is refused.
_LEAST_SHARE = 2 / 3
#: Share by which a stated rate may differ from that of the pictures that are there.
_NEAR = 0.1


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Container facts of a video file.

    Attributes:
        duration: seconds from the first to the last picture or sound that is there.
        width, height: pixels as a player shows them: square ones, after rotation.
        fps: average frames per second.
        rotation: degrees clockwise that a player turns the coded picture: 0, 90, 180, 270.
        frames: number of frames that the container states, 0 if it does not.
        extension: a safe file name ending for this container, without the dot.
        truncated: whether the file ends before the duration that it states.
        jumps: whether its time runs back or leaps, as in files that were joined
            (:mod:`fsh.pipeline.media.one_clock`).
        pictures_end: seconds; after that there is sound alone.
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
    extension: str = ""
    truncated: bool = False
    jumps: bool = False
    pictures_end: float = 0.0


class NotAVideo(FshError):
    """A file that is not accepted as a video.

    Attributes:
        code: why, in a word: not_a_file, empty, not_media, no_video, no_codec, no_frames, bad_size,
            truncated, joined.
    """

    def __init__(self, what: str, *, where: object = "", remedy: str = "", code: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.code = code

    def __reduce__(self):
        return _rebuild, (self.what, self.where, self.remedy, self.code)


def _rebuild(what: str, where: str, remedy: str, code: str) -> NotAVideo:
    return NotAVideo(what, where=where, remedy=remedy, code=code)


def probe(path: Path, timeout: float = 20.0, *, measure: bool = True) -> MediaFacts:
    """Open a file, decode its first frame, find its end, and report what it is.

    A file without an index is read to its end for that.

    Accepted: any codec that decodes, 10 bit, rotated, variable frame rate, sides of 32 to 8192
    pixels (8K included), with or without sound. Refused: images, sound alone (cover art does not
    make it a video), playlists and web pages, and files that hold less than two thirds of the
    duration that they state.

    Args:
        timeout: seconds that a read may take.
        measure: whether to look for the end, rather than believe what the file states.

    Raises:
        NotAVideo: if it is not a video that can be decoded, and why.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise NotAVideo("not a file", where=path, remedy="give a video file", code="not_a_file")
        if path.stat().st_size == 0:
            raise NotAVideo("an empty file", where=path, code="empty")
        with _opened(path, timeout) as container:
            return _examine(container, path, measure)
    except (av.FFmpegError, ValueError, OSError) as error:
        what, remedy = what_instead(path, error)
        text = f"not a readable video ({what})"
        raise NotAVideo(text, where=path, remedy=remedy, code="not_media") from error


def _examine(container: av.container.InputContainer, path: Path, measure: bool) -> MediaFacts:
    """The facts of an open container; raises NotAVideo."""
    stream = shown_stream(container)
    if stream is None:
        what = "sound and no video stream" if container.streams.audio else "no video stream"
        raise NotAVideo(what, where=path, remedy="give a video file", code="no_video")
    if stream.codec_context is None:
        raise NotAVideo(
            "its pictures are of a codec that is not known here",
            where=path,
            remedy="convert it to H.264 first",
            code="no_codec",
        )
    coded = stream.codec_context.width, stream.codec_context.height
    if max(coded) > _LONGEST_SIDE or 0 < min(coded) < _SHORTEST_SIDE:
        raise NotAVideo(
            f"{coded[0]}×{coded[1]} pixels; each side must be {_SHORTEST_SIDE} to {_LONGEST_SIDE}",
            where=path,
            code="bad_size",
        )
    frame = next(container.decode(stream), None)
    if frame is None:
        raise NotAVideo(
            "no frame can be decoded", where=path, remedy="give another file", code="no_frames"
        )
    rotation = round(-frame.rotation) % 360
    aspect = stream.sample_aspect_ratio or 1
    width, height = round(frame.width * aspect), frame.height
    if rotation in (90, 270):
        width, height = height, width
    is_raw = clock_of(container).is_raw  # of those the average rate is one that nobody stated
    rates = [stream.average_rate, stream.guessed_rate]
    fps = float(next(filter(None, rates[::-1] if is_raw else rates), 0))
    frames = stream.frames
    promised = _promised(container)
    timeline = Timeline(promised, promised)
    if measure:
        timeline = _timeline(container, promised, path)
    if timeline.pictures and not timeline.jumps and not _is_indexed(container):
        # What is in the file counts: an AVI may state 600 a second, most of them empty.
        frames = timeline.pictures
        real = timeline.pictures / timeline.pictures_span if timeline.pictures_span else fps
        fps = fps if abs(real - fps) < _NEAR * fps else real
    if is_raw and fps and timeline.pictures:  # played at their rate, and from the first picture on
        end = timeline.pictures_span or timeline.pictures / fps
        timeline = replace(timeline, end=end, pictures_end=end)
    if measure and container.format.name in ("gif", "apng") and timeline.pictures < 2:
        raise NotAVideo("an image", where=path, remedy="give a video file", code="not_media")
    end = timeline.end
    cut = end < 0.9 * promised - 0.5 and not timeline.jumps
    if measure and holds_another(path, container.format.name):
        raise NotAVideo(
            "another recording begins behind its end, where no player shows it",
            where=path,
            remedy="join the recordings anew with a video editor, or give each by itself",
            code="joined",
        )
    if cut and end < _LEAST_SHARE * promised:
        raise NotAVideo(
            f"truncated: it promises {promised:.1f} s and ends after {end:.1f} s",
            where=path,
            remedy="fetch or copy it again",
            code="truncated",
        )
    sound = default_sound(container)
    codec = stream.codec_context.codec.canonical_name  # not the decoder, as libdav1d is
    extension = _CONTAINERS.get(container.format.name, "bin")
    return MediaFacts(
        duration=promised if _is_indexed(container) and not cut else end,
        width=width,
        height=height,
        fps=fps,
        rotation=rotation,
        frames=frames,
        video_codec=codec,
        audio_codec=codec_name(sound) if sound else "",
        pixel_format=stream.codec_context.pix_fmt or "",
        extension="webm" if extension == "mkv" and codec in _WEBM_CODECS else extension,
        truncated=cut,
        jumps=timeline.jumps,
        pictures_end=timeline.pictures_end,
    )


def _is_indexed(container: av.container.InputContainer) -> bool:
    """Whether the file has an index of all frames, in which no time can run back."""
    stream = shown_stream(container)
    return _CONTAINERS.get(container.format.name) == "mp4" and bool(stream and stream.frames)


def _promised(container: av.container.InputContainer) -> float:
    """Seconds, from second 0 of its clock on, that a file says it lasts; 0 if it does not."""
    zero = float(clock_of(container).zero)
    if _is_indexed(container):
        streams = [s for s in (shown_stream(container), default_sound(container)) if s]
        ends = [(s.start_time or 0) + s.duration for s in streams if s.duration]
        bases = [s.time_base or 0 for s in streams if s.duration]
        return max((float(e * b) for e, b in zip(ends, bases, strict=True)), default=0.0) - zero
    # Some containers count from their own zero.
    return max(0.0, (container.duration or 0) / av.time_base - max(0.0, zero))


def _timeline(container: av.container.InputContainer, promised: float, path: Path) -> Timeline:
    """What is really in the file: the end of one with an index, all packets of any other."""
    if _is_indexed(container):
        end = clock_of(container).zero + Fraction(promised)
        container.seek(round(end * av.time_base), backward=True)
        if (found := survey(container)).end:
            return replace(found, jumps=False)
    # In some files a seek near the end fails, or nothing is there; streams cannot be sought.
    with _opened(path) as again:
        return survey(again)


def _opened(path: Path, timeout: float = 20.0) -> av.container.InputContainer:
    """A file of one of the containers, which opens no other file.

    Args:
        timeout: seconds that a read may take.
    """
    return av.open(
        file_url(path),
        timeout=timeout,
        metadata_errors="replace",
        options={"protocol_whitelist": "file", "format_whitelist": ",".join(_CONTAINERS)},
    )
