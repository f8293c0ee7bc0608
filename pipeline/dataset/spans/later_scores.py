"""Scores that are made of what is stored of a clip, and of its video's sound.

So a data set of an older fsh gets them without decoding a picture of its videos
(:mod:`fsh.pipeline.dataset.spans.upgrading`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import simplejpeg

from fsh.pipeline.faces.crop import CropWindow, box_to_crop
from fsh.pipeline.faces.motion_print import motion_print
from fsh.pipeline.faces.overlaid_text import text_overlap
from fsh.pipeline.faces.sync import FAR, synchrony
from fsh.pipeline.media.voice import SpanSound
from fsh.schemas.tables.records import Clip

#: Shares of a clip at which text is looked for.
_TEXT_AT = (0.2, 0.5, 0.8)
#: Seconds of sound that are needed on either side of a span.
SOUND_MARGIN = FAR + 1.0


def with_later_scores(
    clip: Clip,
    jpegs: Sequence[bytes],
    boxes: np.ndarray,
    points: np.ndarray,
    times: np.ndarray,
    window: CropWindow,
    *,
    sound: SpanSound,
    size: int,
    text: bool,
) -> Clip:
    """A clip with its speech, synchrony, fingerprint and, if asked for, overlap with text.

    Args:
        jpegs, boxes, points, times: of its n frames; boxes (n, 4) in source pixels, points
            (n, 68, 2) in crop pixels.
        window: its crop window.
        sound: of the span that it is in.
        size: side of the crops.
        text: whether text is looked for.
    """
    start, end = float(times[0]), float(times[-1])
    loudness = sound.loudness(start - FAR, end + FAR)
    found = None if loudness is None else synchrony(points, times, loudness)
    overlap = None
    if text:
        at = sorted({round(share * (len(jpegs) - 1)) for share in _TEXT_AT})
        pictures = np.stack([simplejpeg.decode_jpeg(jpegs[i], "RGB") for i in at])
        overlap = text_overlap(pictures, box_to_crop(boxes[at].round(2), window, size))
    return replace(
        clip,
        speech=sound.speech(start, end + 1 / (clip.fps or 25.0)),
        sync_offset=found.offset if found else None,
        sync_confidence=found.confidence if found else None,
        text_overlap=overlap,
        motion_print=motion_print(points, times),
    )
