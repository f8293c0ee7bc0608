"""The second decode: tracks to cropped frames, at full resolution.

Only the part of the picture and the stretch of time that tracks occupy is read, and tracks that
share a stretch share its decode.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.stages import stage, staged
from fsh.pipeline.faces.crop import crop_image
from fsh.pipeline.faces.tracking import Track
from fsh.pipeline.media.decode import read_region
from fsh.pipeline.media.probe import MediaFacts
from fsh.pipeline.media.regions import enclosing_region
from fsh.schemas.errors import FshError


@dataclass(frozen=True)
class CroppedTrack:
    """A track's kept frames.

    Attributes:
        crops: uint8 (n, S, S, 3) RGB.
        boxes: float32 (n, 4) face boxes in source pixels.
        times: float64 (n,) seconds on the video's clock.
    """

    track: Track
    crops: np.ndarray
    boxes: np.ndarray
    times: np.ndarray


def keep_evenly(times: np.ndarray, max_fps: float) -> np.ndarray:
    """bool (n,): the frames to keep so that there are at most ``max_fps`` a second.

    Each slot of 1 / max_fps seconds from the first frame on gives its first frame. A video that
    is no more than 2 % faster than that keeps all of its frames.
    """
    if len(times) < 2 or np.median(np.diff(times)) * max_fps * 1.02 >= 1:
        return np.ones(len(times), bool)
    # The small addition keeps a frame that lies on a slot's edge from falling before it.
    slots = np.floor((times - times[0]) * max_fps + 0.01)
    return np.concatenate([[True], slots[1:] > slots[:-1]])


def crop_tracks(
    path: Path, facts: MediaFacts, times: np.ndarray, tracks: list[Track], analysis: AnalysisConfig
) -> Iterator[CroppedTrack]:
    """The second decode: every track's kept frames, cropped."""
    for group in overlapping(tracks):
        yield from _crop_group(path, facts, times, group, analysis)


def overlapping(tracks: list[Track]) -> list[list[Track]]:
    """Tracks in groups that share stretches of time, so that each is decoded once."""
    groups: list[list[Track]] = []
    end = -1
    for track in sorted(tracks, key=lambda t: (t.frames[0], t.number)):
        if track.frames[0] > end:
            groups.append([])
        groups[-1].append(track)
        end = max(end, int(track.frames[-1]))
    return groups


def _crop_group(
    path: Path, facts: MediaFacts, times: np.ndarray, group: list[Track], analysis: AnalysisConfig
) -> Iterator[CroppedTrack]:
    size = (facts.width, facts.height)
    part = enclosing_region([t.window for t in group], size)
    windows = [t.window.within(part) for t in group]
    kept = [np.flatnonzero(keep_evenly(times[t.frames], analysis.max_fps)) for t in group]
    wanted = [times[t.frames[k]] for t, k in zip(group, kept, strict=True)]
    crops: list[list[np.ndarray]] = [[] for _ in group]
    start, end = min(w[0] for w in wanted), max(w[-1] for w in wanted)
    missing = sum(map(len, wanted))
    for time, pixels in staged("decode", read_region(path, size, part, start, end + 1e-6)):
        for i, track in enumerate(group):
            if len(crops[i]) < len(wanted[i]) and time == wanted[i][len(crops[i])]:
                missing -= 1
                with stage("crop"):
                    crops[i].append(crop_image(pixels, windows[i], analysis.spec.size))
                if len(crops[i]) == len(wanted[i]):
                    yield CroppedTrack(track, np.array(crops[i]), track.boxes[kept[i]], wanted[i])
                    crops[i], wanted[i] = [], wanted[i][:0]
    if missing:
        raise FshError(
            f"{missing} frames between {start:.3f} and {end:.3f} s are gone when read again",
            where=path,
            remedy="its index is broken: remux it with ffmpeg -c copy",
        )
