"""A video that stands in for the camera, in a format that browsers play."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import ffmpeg

from fsh.pipeline.media.clock import clock_of_file, turned_of_file
from fsh.pipeline.media.deinterlacing import deinterlaced
from fsh.pipeline.media.ffmpeg import binary, file_url
from fsh.schemas.errors import FshError
from fsh.schemas.places.temporary import scratch_folder
from fsh.schemas.progress import Progress

#: What browsers play without anything that is not in all of them.
_SUFFIXES = {".mp4": "video/mp4", ".webm": "video/webm"}
_CODECS = {"h264", "vp8", "vp9", "av1"}
_FORMATS = {"yuv420p", "yuvj420p"}
#: Pixels of the longer side that a converted video has at most: a webcam's.
_LONGER = 1280


@contextmanager
def browser_video(path: Path, progress: Progress) -> Iterator[Path]:
    """The video itself if browsers play it, or else a converted copy that is removed at the end.

    Raises:
        FshError: if it is no video, or cannot be converted.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise FshError("not a file", where=path, remedy="give a video that shows a face")
    try:
        with av.open(file_url(path)) as file:
            coded = [stream.codec_context for stream in file.streams.video]
            codecs = {one.name if one else "unknown" for one in coded}
            formats = {one.pix_fmt for one in coded if one}
    except (OSError, av.FFmpegError) as error:
        raise FshError(f"not a video ({error})", where=path) from error
    if not codecs:
        raise FshError("has no pictures", where=path, remedy="give a video that shows a face")
    known = {name.removeprefix("lib").removesuffix("dav1d") or "av1" for name in codecs}
    clock = clock_of_file(path)
    plays = known <= _CODECS and formats <= _FORMATS and not clock.interlaced
    if path.suffix.lower() in _SUFFIXES and plays:
        yield path
        return
    with scratch_folder("camera") as folder:
        copy = folder / "camera.mp4"
        progress.say(f"{path.name} is converted for the browser")
        given = ffmpeg.input(file_url(path))
        pictures = given[f"v:{clock.place}"]
        if clock.interlaced:
            pictures = deinterlaced(pictures, turned_of_file(path))
        # Sides are even, because this format has a colour for every two rows and columns.
        half = "max(1,trunc({}*min(1," + f"{_LONGER}/max(iw,ih))/2))*2"
        pictures = pictures.filter("scale", half.format("iw"), half.format("ih"))
        coding = {"vcodec": "libx264", "preset": "veryfast", "pix_fmt": "yuv420p", "acodec": "aac"}
        output = ffmpeg.output(pictures, given["a:0?"], str(copy), movflags="+faststart", **coding)
        command = output.global_args("-v", "error", "-nostdin").compile(binary())
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            why = done.stderr.strip().splitlines() or ["no reason given"]
            raise FshError(f"cannot be converted ({why[-1]})", where=path)
        yield copy
