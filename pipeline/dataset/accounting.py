"""Where every second of the videos went: into a kept clip, or into a reject with a reason.

Each row of the clips table stands for a stretch of its video. Where nothing was tracked, rows
without a clip do. Together the rows cover what was asked for; the sums agree to the millisecond.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.division import Span, merge_ranges
from fsh.pipeline.media.shots import Shot
from fsh.schemas.tables.records import Clip, RejectReason

#: A frame stands for at most this long, seconds, or for so many usual ones: after that there is no
#: picture.
_LONGEST, _USUAL = 1.0, 3.0
_ORDER = {reason: number for number, reason in enumerate(RejectReason)}


@dataclass(frozen=True)
class SpanFrames:
    """The frames of a span, each with the stretch that it stands for.

    Attributes:
        begins, ends: float64 (n,), seconds; no stretch begins before the one before has ended.
        start, end: seconds; what the span has to account for.
    """

    begins: np.ndarray
    ends: np.ndarray
    start: float
    end: float

    @classmethod
    def of_frames(cls, times: np.ndarray, span: Span, duration: float) -> SpanFrames:
        """The frames of a span.

        Args:
            times: float64 (n,), increasing, seconds of its frames.
            duration: of the video, seconds; where an open span ends unless there are frames after.
        """
        if not len(times):
            end = max(duration, span.end) if span.open_end else span.end
            return cls(times, times, span.start, end)
        steps = np.diff(times)
        step = float(np.median(steps)) if len(steps) else 0.04
        ends = np.append(times[1:], times[-1] + step)
        ends = np.minimum(ends, times + max(_LONGEST, _USUAL * step))
        begins = times.copy()
        # What is less than a frame at either end is the first and the last frame's.
        if times[0] - span.start <= step * 1.5:
            begins[0] = span.start
        end = max(span.end, duration, float(ends[-1])) if span.open_end else span.end
        if end - ends[-1] <= step * 1.5:
            ends[-1] = end
        return cls(begins, np.minimum(ends, end), span.start, end)

    def covered(self, frames: np.ndarray) -> tuple[float, float]:
        """The stretch of consecutive frames, by their numbers."""
        return float(self.begins[frames[0]]), float(self.ends[frames[-1]])


def rest_of(
    footage: SpanFrames,
    tracked: Sequence[np.ndarray],
    shots: Sequence[Shot],
    searched: Sequence[int],
) -> Iterator[tuple[RejectReason, float, float]]:
    """The stretches of a span in which nothing was tracked, in order, and why: reason, from, to.

    Args:
        tracked: frame numbers of each track.
        shots: frames in none of them are in a transition.
        searched: numbers of the frames in which faces were searched; the others beside a track, as
            far as the next one that was, are its edge.
    """
    count = len(footage.begins)
    seen, reasons = np.zeros(count, bool), [RejectReason.TRANSITION] * count
    for frames in tracked:
        seen[frames] = True
    looked = np.zeros(count, bool)
    looked[[*searched]] = True
    for shot in shots:
        numbers = range(shot.first, shot.last)
        reasons[shot.first : shot.last] = [RejectReason.NO_FACE] * len(numbers)
        for way in (numbers, reversed(numbers)):
            beside = False
            for i in way:
                beside = bool(seen[i]) or (beside and not looked[i])
                if beside:
                    reasons[i] = RejectReason.EDGE
    pieces: list[tuple[RejectReason | None, float, float]] = []
    at = footage.start
    for i in range(count):
        pieces.append((RejectReason.NO_PICTURE, at, float(footage.begins[i])))
        pieces.append((None if seen[i] else reasons[i], *footage.covered(np.array([i]))))
        at = float(footage.ends[i])
    pieces.append((RejectReason.NO_PICTURE, at, footage.end))
    yield from _joined(pieces)


def _joined(
    pieces: Iterable[tuple[RejectReason | None, float, float]],
) -> Iterator[tuple[RejectReason, float, float]]:
    """Pieces that follow one another as one, without those of no length or of no reason."""
    last: tuple[RejectReason | None, float, float] | None = None
    for reason, start, end in pieces:
        if end <= start:
            continue
        if last and last[0] is reason:
            last = reason, last[1], end
            continue
        if last and last[0]:
            yield last[0], last[1], last[2]
        last = reason, start, end
    if last and last[0]:
        yield last[0], last[1], last[2]


@dataclass(frozen=True)
class Seconds:
    """What became of the seconds of videos; ``total`` is ``kept`` and all of ``rejected``.

    Attributes:
        rejected: reason to seconds.
    """

    total: float
    kept: float
    rejected: dict[str, float]

    def to_card(self) -> dict[str, float]:
        """As :attr:`fsh.schemas.shards.card.DatasetCard.seconds`."""
        return {"in": self.total, "kept": self.kept, **self.rejected}


def seconds_of(clips: Iterable[Clip], spans: Iterable[Span] = ()) -> Seconds:
    """Add up the rows of a clips table.

    A moment counts as kept if any kept clip holds it, else for the reason among those of its rows
    that is found last: the face that came furthest.

    Args:
        spans: what the total is to hold besides what the rows stand for.
    """
    rows: dict[str, list[Clip]] = defaultdict(list)
    planned: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for clip in clips:
        if clip.cover_start is not None and clip.cover_end is not None:
            rows[clip.video_id].append(clip)
            planned[clip.video_id].append((clip.cover_start, clip.cover_end))
    for span in spans:
        planned[span.video_id].append((span.start, span.end))
    total = sum(
        _ms(end) - _ms(start) for ranges in planned.values() for start, end in merge_ranges(ranges)
    )
    spent: Counter[str] = Counter()
    for some in rows.values():
        for reason, length in _divided(some):
            spent[reason] += length
    kept = spent.pop("", 0)
    rejected = {reason: spent[reason] / 1000 for reason in sorted(spent) if spent[reason]}
    return Seconds(total / 1000, kept / 1000, rejected)


def _divided(rows: Sequence[Clip]) -> Iterator[tuple[str, int]]:
    """The milliseconds of one video by reason; "" is kept."""
    edges = sorted({_ms(edge) for row in rows for edge in (row.cover_start, row.cover_end)})
    ranked = sorted(rows, key=_rank)
    of_edge: dict[int, str] = {}
    for row in ranked:  # the last one that covers a stretch has it
        first, last = np.searchsorted(edges, [_ms(row.cover_start), _ms(row.cover_end)])
        of_edge.update(dict.fromkeys(range(first, last), "" if row.kept else str(row.reason or "")))
    for number, reason in of_edge.items():
        yield reason, edges[number + 1] - edges[number]


def _rank(row: Clip) -> int:
    return len(_ORDER) if row.kept else _ORDER.get(row.reason or RejectReason.NO_FACE, 0)


def _ms(seconds: float | None) -> int:
    return round((seconds or 0.0) * 1000)


def counted(clips: Iterable[Clip]) -> dict[str, int]:
    """How many tracks, failed spans and videos without a track were rejected, by reason."""
    tracks: Counter[str] = Counter()
    without: dict[str, Counter[str]] = defaultdict(Counter)
    with_track = set()
    for clip in clips:
        if clip.clip_id or clip.error is not None:
            with_track.add(clip.video_id)
            if clip.reason:
                tracks[clip.reason.value] += 1
        elif clip.reason:
            length = _ms(clip.cover_end) - _ms(clip.cover_start)
            without[clip.video_id][clip.reason.value] += length
    for video, reasons in without.items():
        if video not in with_track:
            tracks[reasons.most_common(1)[0][0]] += 1
    return dict(sorted(tracks.items()))


def row_without_clip(
    span: Span, size: tuple[int, int], reason: RejectReason, start: float, end: float
) -> Clip:
    """The row that stands for a stretch in which nothing was tracked.

    Args:
        size: width and height of the video, pixels.
    """
    return replace(
        Clip(video_id=span.video_id, reason=reason, width=size[0], height=size[1]),
        start=start,
        end=end,
        cover_start=start,
        cover_end=end,
    )


def place_of_row(clip: Clip) -> tuple[bool, str, float]:
    """The order of a span's rows: clips by their names, then the stretches without."""
    return clip.clip_id is None, clip.clip_id or "", clip.start or 0.0


def accounted(clips: Iterable[Clip], span: Span) -> list[Clip]:
    """Rows of an older table that did not account for every second, as of today's.

    Where it knew of no track, it does not say why: so short a time beside one is its edge, all else
    is not recorded.
    """
    clips = list(clips)
    if any(clip.cover_start is not None for clip in clips):
        return clips
    tracks = [
        replace(clip, cover_start=clip.start, cover_end=clip.end)
        for clip in clips
        if clip.start is not None and clip.end is not None
    ]
    size = next(((clip.width or 0, clip.height or 0) for clip in clips), (0, 0))
    at, rest = span.start, []
    covered = [(clip.cover_start or 0.0, clip.cover_end or 0.0) for clip in tracks]
    for start, end in [*merge_ranges(covered), (span.end, span.end)]:
        if start > at:
            # There was no room for a frame that was searched.
            beside = start - at < AnalysisConfig.look_every and bool(tracks)
            reason = RejectReason.EDGE if beside else RejectReason.NOT_RECORDED
            rest.append(row_without_clip(span, size, reason, at, start))
        at = max(at, end)
    return sorted([*tracks, *rest], key=place_of_row)
