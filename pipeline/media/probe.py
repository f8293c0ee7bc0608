"""What a media file is, by its content and never by its name, and which files are accepted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av

from fsh.pipeline.media.ffmpeg import file_url
from fsh.pipeline.media.sound import codec_name, default_sound
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
    "nut": "nut",
}
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1"})
_SHORTEST_SIDE, _LONGEST_SIDE = 32, 8192
#: A file that holds less than this share of its stated duration is refused.
_LEAST_SHARE = 2 / 3


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Container facts of a video file.

    Attributes:
        duration: seconds; of a truncated file, those that are there.
        width, height: pixels as a player shows them: square ones, after rotation.
        fps: average frames per second.
        rotation: degrees clockwise that a player turns the coded picture: 0, 90, 180, 270.
        frames: number of frames that the container states, 0 if it does not.
        extension: a safe file name ending for this container, without the dot.
        truncated: whether the file ends before the duration that it states.
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


class NotAVideo(FshError):
    """A file that is not accepted as a video.

    Attributes:
        code: why, in a word: empty, not_media, no_video, no_frames, bad_size, truncated.
    """

    def __init__(self, what: str, *, where: object = "", remedy: str = "", code: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.code = code

    def __reduce__(self):
        return _rebuild, (self.what, self.where, self.remedy, self.code)


def _rebuild(what: str, where: str, remedy: str, code: str) -> NotAVideo:
    return NotAVideo(what, where=where, remedy=remedy, code=code)


def probe(path: Path, timeout: float = 20.0) -> MediaFacts:
    """Open a file, decode its first frame, find its end, and report what it is.

    Accepted: any codec that decodes, 10 bit, rotated, variable frame rate, sides of 32 to 8192
    pixels (8K included), with or without sound. Refused: images, sound alone (cover art does not
    make it a video), playlists and web pages, and files that hold less than two thirds of the
    duration that they state.

    Raises:
        NotAVideo: if it is not a video that can be decoded, and why.
    """
    try:
        if path.stat().st_size == 0:
            raise NotAVideo("an empty file", where=path, code="empty")
        with av.open(
            file_url(path),
            timeout=timeout,
            metadata_errors="replace",
            options={"protocol_whitelist": "file", "format_whitelist": ",".join(_CONTAINERS)},
        ) as container:
            return _examine(container, path)
    except (av.FFmpegError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotAVideo(
            f"not a readable video ({_guessed_kind(path) or reason})", where=path, code="not_media"
        ) from error


def _examine(container: av.container.InputContainer, path: Path) -> MediaFacts:
    """The facts of an open container; raises NotAVideo."""
    pictures = [s for s in container.streams.video if not _is_cover_art(s)]
    if not pictures:
        what = "sound and no video stream" if container.streams.audio else "no video stream"
        raise NotAVideo(what, where=path, remedy="give a video file", code="no_video")
    stream = pictures[0]
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
    if stream.duration and stream.time_base:
        duration = float(stream.duration * stream.time_base)
    else:
        duration = (container.duration or 0) / av.time_base
    end = _measured_end(container) if duration else 0.0
    cut = end < 0.9 * duration - 0.5
    if cut and end < _LEAST_SHARE * duration:
        raise NotAVideo(
            f"truncated: it promises {duration:.1f} s and ends after {end:.1f} s",
            where=path,
            remedy="fetch or copy it again",
            code="truncated",
        )
    sound = default_sound(container)
    codec = stream.codec_context.codec.canonical_name  # not the decoder, as libdav1d is
    extension = _CONTAINERS.get(container.format.name, "bin")
    return MediaFacts(
        duration=end if cut else duration,
        width=width,
        height=height,
        fps=float(stream.average_rate or stream.guessed_rate or 0),
        rotation=rotation,
        frames=stream.frames,
        video_codec=codec,
        audio_codec=codec_name(sound) if sound else "",
        pixel_format=stream.codec_context.pix_fmt or "",
        extension="webm" if extension == "mkv" and codec in _WEBM_CODECS else extension,
        truncated=cut,
    )


def _measured_end(container: av.container.InputContainer) -> float:
    """Seconds from the start to the end of the last packet that is really in the file."""
    start = container.start_time or 0
    for target in (start + (container.duration or 0), start):
        container.seek(target, backward=True)
        if last := _last_packet_end(container):
            return last - start / av.time_base
    return 0.0  # in some files a seek near the end fails: both places were tried


def _last_packet_end(container: av.container.InputContainer) -> float:
    """End in seconds of the last intact packet from here on; 0 if there is none."""
    last = 0.0
    try:
        for packet in container.demux():
            if (
                packet.pts is not None
                and packet.size
                and packet.time_base
                and not packet.is_corrupt
            ):
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except av.FFmpegError:  # what came before it counts
        return last
    return last


def _is_cover_art(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _guessed_kind(path: Path) -> str:
    """What a file that is no video seems to be, for the message; empty if unknown."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return ""
    kinds = {
        "an image": (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"),
        "a web page": (b"<!doctype html", b"<html", b"<!DOCTYPE html", b"<HTML"),
        "a playlist": (b"#EXTM3U", b"<MPD", b"ffconcat"),
    }
    return next((kind for kind, marks in kinds.items() if head.lstrip().startswith(marks)), "")
