"""The ffmpeg that makes the tests' files: always the wheel's, whatever the system has.

Older ones lack options and encoders that fixtures need. What is tested runs with the ffmpeg that
fsh chooses.
"""

from __future__ import annotations

import functools

import imageio_ffmpeg


@functools.cache
def binary() -> str:
    """Path of the executable."""
    return imageio_ffmpeg.get_ffmpeg_exe()
