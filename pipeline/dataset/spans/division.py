"""Which stretches of which videos there are to work on: plain planning, nothing is read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.sources import by_video
from fsh.schemas.ids import digest
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.span_layout import SpanFolder
from fsh.schemas.tables.records import Source, known

#: The last span may be this many times as long as asked for, rather than leave a short rest.
_LONGEST_LAST = 1.25


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of a stored video: the unit of work, of failure and of resuming.

    Attributes:
        video_id: of the video.
        start, end: seconds; frames of [start, end) belong to the span.
        path: of the video, below the data folder.
        sha256: of the video.
        open_end: whether all that comes after ``end``, where the video is thought to end, belongs
            to it.
        is_remade: whether what is stored is a copy of the video with one clock, whose own bytes
            have another SHA-256.
    """

    video_id: str
    start: float
    end: float
    path: str
    sha256: str
    open_end: bool = False
    is_remade: bool = False

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def folder(self, data: DataFolder, analysis: AnalysisConfig) -> SpanFolder:
        """Where its results are kept: another video, span or setting is another folder."""
        key = digest([self.sha256, self.start, self.end, analysis.hash])
        return data.span(self.video_id, self.start, key)


def plan_spans(sources: Iterable[Source], length: float) -> list[Span]:
    """Spans of about ``length`` seconds that cover what is wanted of each video, once.

    Args:
        sources: whose video is stored; several may want ranges of one video.
        length: seconds.
    """
    spans = []
    for video_id, wanted in sorted(by_video(sources).items()):
        path, sha256 = wanted[-1].path, wanted[-1].sha256
        is_remade = bool(json.loads(wanted[-1].metadata or "{}").get("one_clock"))
        duration = known(wanted[-1].duration)
        for first, last in merge_ranges(map(_range_of, wanted)):
            to_end = last == float("inf")
            parts = divide_range(first, max(duration, first) if to_end else last, length)
            for start, end in parts:
                is_open = to_end and end == parts[-1][1]
                spans.append(Span(video_id, start, end, path, sha256, is_open, is_remade))
    return spans


def _range_of(source: Source) -> tuple[float, float]:
    """Seconds of the file at which the wanted part starts and ends; infinity: with the file."""
    start, end = source.range_in_file
    return start, float("inf") if end is None else end


def merge_ranges(ranges: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The union of ranges, as disjoint ranges in order; empty ones vanish."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def divide_range(start: float, end: float, length: float) -> list[tuple[float, float]]:
    """[start, end) in parts of ``length``; a short rest belongs to the last part.

    The edges lie at multiples of the length from the start, so that a video that turns out a
    little longer keeps its other parts.
    """
    edges = [start]
    while end - edges[-1] > _LONGEST_LAST * length:
        edges.append(edges[-1] + length)
    return list(zip(edges, [*edges[1:], end], strict=True))
