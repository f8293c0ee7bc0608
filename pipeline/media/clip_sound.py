"""The sound of a stretch of a video, through ffmpeg, on the clock of its pictures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import ffmpeg

from fsh.pipeline.media.clock import ON_THE_CLOCK, clock_of_file
from fsh.pipeline.media.ffmpeg import binary, file_url
from fsh.pipeline.media.sound import default_sound_number


def read_sound(path: Path, start: float, end: float) -> bytes:
    """The sound of [start, end), of the default track, as a FLAC file; empty if there is none.

    The first sample lies at ``start`` exactly: sound that begins later is padded with silence.
    """
    stream = sound_stream(path, start, end)
    # FLAC refuses to begin with a few samples, which is what a cut may leave.
    return _flac(stream.filter("asetnsamples", n=4096, p=0)) if stream else b""


def sound_stream(path: Path, start: float, end: float) -> ffmpeg.Stream | None:
    """The sound of [start, end), to be output; None if there is none.

    Its first sample lies at ``start``, or at 0 if that is less.
    """
    number = default_sound_number(path)
    if number is None:
        return None
    clock = clock_of_file(path)
    options = clock.seeking(start - 1)
    begin = start - 1 if options else 0.0
    stream = ffmpeg.input(file_url(path), **options)[f"a:{number}"]
    stream = stream.filter("asetpts", f"PTS-({clock.text(begin)})/TB")
    stream = stream.filter("atrim", start=0)
    stream = stream.filter("aresample", **{"async": 1, "first_pts": 0})
    start = max(0.0, start)
    return stream.filter("atrim", start=f"{start - begin:.6f}", duration=f"{end - start:.6f}")


def silence(seconds: float) -> bytes:
    """As much silence as a FLAC file, mono, 16 kHz."""
    return _flac(ffmpeg.input("anullsrc=r=16000:cl=mono", f="lavfi", t=f"{seconds:.6f}"))


def _flac(stream: ffmpeg.Stream) -> bytes:
    """A sound as a FLAC file, the same bytes each time; empty if ffmpeg fails."""
    exact = {"fflags": "+bitexact", "flags:a": "+bitexact"}
    return sound_bytes(stream, format="flac", map_metadata=-1, **exact)


def sound_bytes(stream: ffmpeg.Stream, **output: str | int) -> bytes:
    """A sound as ffmpeg's output options have it; empty if ffmpeg fails."""
    done = subprocess.run(
        stream.output("pipe:", **output)
        .global_args(*ON_THE_CLOCK, "-v", "error")
        .compile(binary()),
        capture_output=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else b""
