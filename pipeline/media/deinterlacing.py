"""Interlaced pictures, each of two halves of the rows, of two moments, are made whole."""

from __future__ import annotations

import ffmpeg

#: Options of ffmpeg's ``bwdif``: a picture for each, of those that are interlaced.
_OPTIONS = {"mode": "send_frame", "deint": "interlaced"}
#: What brings rows that a player turns by so many degrees back to where they were coded.
_TURNS = {90: ("transpose", "clock"), 180: ("vflip",), 270: ("transpose", "cclock")}


def deinterlaced(stream: ffmpeg.Stream, turned: int) -> ffmpeg.Stream:
    """Pictures without the combs that two moments in one give the edges of what moves.

    ffmpeg has turned them already; while they are made whole, their rows are as they were coded.

    Args:
        turned: degrees counter-clockwise.
    """
    if turned in _TURNS:
        stream = stream.filter(*_TURNS[turned])
    stream = stream.filter("bwdif", **_OPTIONS)
    return stream.filter(*_TURNS[360 - turned]) if turned in _TURNS else stream
