"""What a file that is not read as a video seems to be, and what to do about it."""

from __future__ import annotations

import errno
from pathlib import Path

from fsh.pipeline.media.animated_pictures import is_animated
from fsh.pipeline.media.media_kind import PICTURE, VIDEO, is_motion_jpeg, media_kind

_KINDS = {
    "an image": (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"),
    "a web page": (b"<!doctype html", b"<html", b"<!DOCTYPE html", b"<HTML"),
    "a playlist": (b"#EXTM3U", b"<MPD", b"ffconcat"),
}
#: How the library says that it knows a format which is not among those that are let in.
_NOT_LET_IN = "a format that is not read here"
_CONVERT = "make a video of it first: ffmpeg -i FILE NEW.mp4"


def what_instead(path: Path, error: Exception) -> tuple[str, str]:
    """What a file is that is no video, in a few words, and the remedy; empty if there is none.

    Args:
        error: why it cannot be opened.
    """
    reason = getattr(error, "strerror", None) or str(error)
    known = _guessed_kind(path)
    if is_motion_jpeg(path):
        return "pictures without a container", _CONVERT.replace("-i", "-f mjpeg -i")
    if path.suffix.lower() == ".yuv" and not known:
        size = "-f rawvideo -video_size WIDTHxHEIGHT -framerate FPS "
        return "bare numbers, without their size", _CONVERT.replace("-i", f"{size}-i")
    if known:
        return known, _remedy(path, known)
    if getattr(error, "errno", None) == errno.EINVAL:
        return _NOT_LET_IN, _CONVERT
    return reason, _remedy(path, known)


def _remedy(path: Path, known: str) -> str:
    if media_kind(path) == VIDEO and known:
        return "fetch or copy it again, or let the camera mend it" if "cut off" in known else ""
    if is_animated(path):
        return _CONVERT
    return "give a video file" if media_kind(path) == PICTURE else ""


def _guessed_kind(path: Path) -> str:
    """What a file seems to be; empty if unknown."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return ""
    if head[4:8] == b"ftyp" and media_kind(path) != PICTURE:
        return "cut off before its end, where its index is: the recording was not finished"
    return next((kind for kind, marks in _KINDS.items() if head.lstrip().startswith(marks)), "")
