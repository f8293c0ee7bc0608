"""Shot boundaries: hard cuts and cross-fades, so that no clip contains one.

Hard cuts come from PySceneDetect's AdaptiveDetector with the best published settings. It compares
neighbouring frames and cannot see a cross-fade, in which no two neighbours differ much. Cross-fades
are found here by their definition: every pixel changes linearly from the one picture to the other,
which does not happen when a head moves.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

#: How many times the change at a cut exceeds that of its neighbours (the best published setting),
#: and the least change of a cut: mean HSV difference, 0 to 255.
CUT_RATIO, CUT_CHANGE = 3.5, 15.0
#: Neighbours on each side that a cut must stand out from (the best published setting).
_WINDOW = 3
#: Longer side in pixels to which frames are shrunk before they are compared. PySceneDetect's own
#: choice is a width of 256; its scores are means over the frame and hardly change.
_DETECT_SIDE = 192
#: Width and height of the thumbnails in which fades and flashes are searched.
_THUMB = (32, 18)
#: Half the durations of cross-fades that are searched, seconds.
_FADE_REACHES = (0.12, 0.24, 0.48)
#: The two ends of a fade differ by at least this much luma (0 to 255, mean over the thumbnail) …
_FADE_CHANGE = 12.0
#: … and the frames between deviate from linear interpolation by at most this share of that.
_FADE_BEND = 0.18
#: Longest flash, seconds.
_FLASH = 0.3


class Shot(NamedTuple):
    """Frames [first, last) of the decoded span between two transitions."""

    first: int
    last: int


class ShotDetector:
    """Is given every frame of a span once, in order, and then has its shots."""

    def __init__(self, ratio: float = CUT_RATIO, change: float = CUT_CHANGE) -> None:
        """
        Args:
            ratio: how many times the change at a cut exceeds that of its neighbours.
            change: the least change of a cut: mean HSV difference, 0 to 255.
        """
        # The minimum length is none: a cut that is not reported would end up inside a clip.
        self._detector = AdaptiveDetector(
            adaptive_threshold=ratio,
            min_scene_len=0,
            window_width=_WINDOW,
            min_content_val=change,
        )
        self._count = 0
        self._cuts: list[int] = []
        self._thumbs: list[np.ndarray] = []
        self._times: list[float] = []
        self._last: np.ndarray | None = None

    def add_frame(self, time: float, i420: np.ndarray) -> None:
        """Process the next frame: its time in seconds, and uint8 (H · 3 / 2, W) I420 pixels."""
        small = shrink(i420, _DETECT_SIDE)
        luma = small[: small.shape[0] * 2 // 3]
        self._thumbs.append(cv2.resize(luma, _THUMB, interpolation=cv2.INTER_AREA).ravel())
        self._times.append(time)
        small = cv2.cvtColor(small, cv2.COLOR_YUV2BGR_I420)
        if self._last is None:
            self._repeat(small)
        self._last = small
        self._feed(small)

    def shots(self) -> list[Shot]:
        """The shots in order, without the frames of cross-fades. Call once, at the end."""
        if self._last is None:
            return []
        self._repeat(self._last)
        thumbs, times = np.array(self._thumbs, np.float32), np.array(self._times)
        # Frame numbers were counted with the repeated first frame in front.
        count = len(times)
        cuts = [cut - _WINDOW for cut in self._cuts if 0 < cut - _WINDOW < count]
        cuts = drop_flashes(cuts, thumbs, times)
        return split_at(count, [(c, c) for c in cuts] + find_fades(thumbs, times))

    def _repeat(self, image: np.ndarray) -> None:
        """Fill the detector's window at either end of the span; it would miss a cut close to it."""
        for _ in range(_WINDOW):
            self._feed(image)

    def _feed(self, image: np.ndarray) -> None:
        # The detector needs a frame rate only for its minimum shot length, which is switched off.
        found = self._detector.process_frame(FrameTimecode(self._count, 25.0), image)
        self._cuts += [timecode.frame_num for timecode in found]
        self._count += 1


def shrink(i420: np.ndarray, side: int) -> np.ndarray:
    """An I420 frame with its longer side shrunk to ``side`` pixels, a multiple of 4 each way."""
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    scale = min(1.0, side / max(height, width))
    wide, high = (max(4, round(v * scale / 4) * 4) for v in (width, height))
    small = np.empty((high * 3 // 2, wide), np.uint8)
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    small[:high] = cv2.resize(i420[:height], (wide, high), interpolation=cv2.INTER_LINEAR)
    parts = small[high:].reshape(2, high // 2, wide // 2)
    for k in (0, 1):
        parts[k] = cv2.resize(chroma[k], (wide // 2, high // 2), interpolation=cv2.INTER_LINEAR)
    return small


def split_at(count: int, transitions: list[tuple[int, int]]) -> list[Shot]:
    """The shots among ``count`` frames between transitions.

    Args:
        transitions: half-open ranges of frames (first, last), excluded; (c, c) is a hard cut.
    """
    shots, begin = [], 0
    for first, last in sorted(transitions):
        if first > begin:
            shots.append(Shot(begin, first))
        begin = max(begin, last)
    if begin < count:
        shots.append(Shot(begin, count))
    return shots


def find_fades(thumbs: np.ndarray, times: np.ndarray) -> list[tuple[int, int]]:
    """Half-open ranges of frames in which one picture cross-fades into another.

    Args:
        thumbs: float32 (frames, pixels), luma 0 to 255.
        times: float64 (frames,), seconds.
    """
    count = len(thumbs)
    if count < 3:
        return []
    step = float(np.median(np.diff(times))) or 0.04
    fading = np.zeros(count, bool)
    for reach in sorted({max(2, round(seconds / step)) for seconds in _FADE_REACHES}):
        for middle in range(reach, count - reach):
            before, after = thumbs[middle - reach], thumbs[middle + reach]
            change = float(np.abs(after - before).mean())
            if change < _FADE_CHANGE:
                continue
            share = np.linspace(0, 1, 5, dtype=np.float32)[1:-1, None]
            inner = thumbs[[middle - reach // 2, middle, middle + reach // 2]]
            if reach % 2:  # the quarter points lie where the whole frames do
                share = np.array([[0.5 - (reach // 2) / (2 * reach)], [0.5], [0.5]], np.float32)
                share[2] = 1 - share[0]
            bend = np.abs(inner - (before + share * (after - before))).mean(axis=1).max()
            if bend < _FADE_BEND * change:
                fading[middle - reach : middle + reach + 1] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], fading, [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def drop_flashes(cuts: list[int], thumbs: np.ndarray, times: np.ndarray) -> list[int]:
    """The cuts without those of a flash: a brighter moment after which the old picture is back.

    Args:
        cuts: frame numbers, the first of each new shot.
        thumbs: float32 (frames, pixels), luma 0 to 255.
        times: float64 (frames,), seconds.
    """
    kept: list[int] = []
    flash_end = -1
    for cut in cuts:
        if cut < flash_end:
            continue
        before, lit = thumbs[cut - 1], thumbs[cut]
        jump = float(np.abs(lit - before).mean())
        soon = np.flatnonzero((times > times[cut]) & (times <= times[cut] + _FLASH))
        back = [j for j in soon if np.abs(thumbs[j] - before).mean() < 0.3 * jump]
        if back and lit.mean() > before.mean() + 15 and _same_picture(before, lit):
            flash_end = int(back[0]) + 1
        else:
            kept.append(cut)
    return kept


def _same_picture(dark: np.ndarray, lit: np.ndarray) -> bool:
    """Whether ``lit`` may be ``dark`` in brighter light, or is overexposed beyond recognition."""
    if dark.std() < 1 or lit.std() < 20:
        return True
    return float(np.corrcoef(dark, lit)[0, 1]) > 0.6
