"""Which colours the numbers of a video mean: by its tags, or as players take it without.

Films in high definition are coded by the matrix of BT.709, smaller ones by that of BT.601. Codes
are those of ITU-T H.273.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import av
from av.video.reformatter import Colorspace

#: Sides in pixels from which on a video is in high definition.
_WIDE, _HIGH = 1280, 577
_UNSAID = (0, 2, 3)
_PQ, _HLG = 16, 18


class ColorTags(NamedTuple):
    """What a film says of its colours, as codes, and how PyAV calls the conversion."""

    matrix: int
    primaries: int
    transfer: int
    converter: Colorspace


_HD = ColorTags(1, 1, 1, Colorspace.ITU709)
_SD = ColorTags(6, 6, 6, Colorspace.ITU601)


def tags_of(width: int, height: int) -> ColorTags:
    """The tags of a film of a size in pixels, as players would guess them."""
    return _HD if width >= _WIDE or height >= _HIGH else _SD


@dataclass(frozen=True)
class ColorReading:
    """How a video's colours are to be read.

    Attributes:
        matrix: ffmpeg's name of the matrix where the video does not say; empty if it does.
        transfer: ``pq`` or ``hlg`` if it is in high dynamic range; else empty.
    """

    matrix: str = ""
    transfer: str = ""

    @classmethod
    def of(cls, stream: av.VideoStream | None) -> ColorReading:
        if stream is None or stream.codec_context is None:
            return cls()
        context = stream.codec_context
        untagged = int(context.colorspace) in _UNSAID
        is_hd = tags_of(context.width, context.height) is _HD
        transfer = {_PQ: "pq", _HLG: "hlg"}.get(int(context.color_trc), "")
        return cls("bt709" if untagged and is_hd else "", transfer)
