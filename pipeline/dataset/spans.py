"""Which stretches of which videos there are to work on, and what became of them."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fsh.pipeline.dataset.config import Analysis, digest
from fsh.pipeline.sandbox import KINDS
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.records import Source
from fsh.schemas.tables import CLIPS, SOURCES, read_table, to_table, write_table

#: A span this much longer than asked for is not worth another one.
_STRETCH = 1.25


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of a stored video: the unit of work, of failure and of resuming.

    Attributes:
        video_id: of the video.
        start, end: seconds; frames of [start, end) belong to the span.
        path: of the video, below the data folder.
        sha256: of the video.
    """

    video_id: str
    start: float
    end: float
    path: str
    sha256: str

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def folder(self, data: DataFolder, analysis: Analysis) -> Path:
        """Where its results are kept: another video, span or setting is another folder."""
        key = digest([self.sha256, self.start, self.end, analysis.hash])
        return data.work / self.video_id / f"{round(self.start * 1000):09d}-{key}"

    def table(self, data: DataFolder, analysis: Analysis) -> Path:
        """Its rows of the clips table. Written last: where it is, the span is done."""
        return self.folder(data, analysis) / "clips.parquet"


def analyze(root: Path, span: Span, analysis: Analysis) -> int:
    """:func:`fsh.pipeline.dataset.span_analysis.process`, in a worker."""
    from fsh.pipeline.dataset.span_analysis import process

    return process(root, span, analysis)


def record_failure(root: Path, span: Span, analysis: Analysis, kind: str, detail: str) -> None:
    """Store a failed span as one row, so that resuming does not try it again unasked."""
    data = DataFolder(root)
    shutil.rmtree(span.folder(data, analysis), ignore_errors=True)
    row = {"video_id": span.video_id, "start": span.start, "end": span.end, "kept": False}
    # Where the data folder lies is nobody's business, and would make its bytes differ.
    told = detail.replace(f"{root}/", "")
    row |= {"reason": kind, "error": told, "spec": analysis.spec.hash}
    write_table(to_table([row], CLIPS), span.table(data, analysis), CLIPS)


def stored(data: DataFolder) -> list[dict[str, Any]]:
    """The rows of the sources table whose video is there and was not erased by any name.

    Raises:
        FshError: if nothing has been ingested, or nothing is left of it.
    """
    remedy = "run `fsh ingest` first"
    if not data.sources.is_file():
        raise FshError("no videos here", where=data.root, remedy=remedy)
    rows = [r for r in read_table(data.sources, SOURCES).to_pylist() if r["state"] == "stored"]
    if not rows:
        raise FshError("none of the videos asked for is stored", where=data.sources, remedy=remedy)
    sources = Tombstones.read(data).spared([Source.from_row(row) for row in rows])
    spared = [source.to_row() for source in sources]
    if not spared:
        raise FshError("all videos stored here were erased on request", where=data.sources)
    return spared


def plan_spans(requests: Iterable[Mapping[str, Any]], length: float) -> list[Span]:
    """Spans of about ``length`` seconds that cover what is wanted of each video, once.

    Args:
        requests: rows of the sources table, state ``stored``.
        length: seconds.
    """
    wanted = defaultdict(list)
    videos = {}
    for row in requests:
        videos[row["video_id"]] = row
        # The container's word on its duration is not to be trusted to the last frame.
        end = row["end"] if row["end"] is not None else row["duration"] + 1.0
        wanted[row["video_id"]].append((row["start"] or 0.0, end))
    return [
        Span(video_id, start, end, row["path"], row["sha256"])
        for video_id, row in sorted(videos.items())
        for first, last in merge(wanted[video_id])
        for start, end in divide(first, last, length)
    ]


def merge(ranges: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
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


def divide(start: float, end: float, length: float) -> list[tuple[float, float]]:
    """[start, end) in parts of ``length``; a short rest belongs to the last part.

    The edges lie at multiples of the length from the start, so that a video that turns out a
    little longer keeps its other parts.
    """
    edges = [start]
    while end - edges[-1] > _STRETCH * length:
        edges.append(edges[-1] + length)
    return list(zip(edges, [*edges[1:], end], strict=True))


def pending(
    data: DataFolder, spans: Iterable[Span], analysis: Analysis, *, retry_failed: bool
) -> list[Span]:
    """The spans that are not done. Failed ones are, unless they are to be tried again."""
    answer = []
    for span in spans:
        table = span.table(data, analysis)
        if not table.is_file():
            answer.append(span)
        elif retry_failed and any(
            reason in KINDS for reason in read_table(table, CLIPS)["reason"].to_pylist()
        ):
            table.unlink()
            answer.append(span)
    return answer


def read_rows(data: DataFolder, spans: Sequence[Span], analysis: Analysis) -> list[dict[str, Any]]:
    """The rows of all finished spans, in the order of the spans.

    Embeddings are float32 arrays, and every row has ``tar``: its clip's file below the data
    folder.
    """
    rows = []
    for span in spans:
        table = read_table(span.table(data, analysis), CLIPS)
        folder = span.folder(data, analysis).relative_to(data.root)
        embeddings = table["embedding"].to_pylist()
        for row, embedding in zip(
            table.drop_columns("embedding").to_pylist(), embeddings, strict=True
        ):
            row["embedding"] = None if embedding is None else np.array(embedding, np.float32)
            row["tar"] = f"{folder}/{row['clip_id']}.tar"
            rows.append(row)
    return rows


def remove_stale(data: DataFolder, spans: Iterable[Span], analysis: Analysis) -> None:
    """Delete results of videos, ranges and settings that are no longer asked for."""
    current = {span.folder(data, analysis) for span in spans}
    videos = {folder.parent for folder in current}
    for folder in data.work.iterdir() if data.work.is_dir() else ():
        if folder.name == "shards" or not folder.is_dir():
            continue
        for result in folder.iterdir():
            if result not in current:
                shutil.rmtree(result)
        if folder not in videos:
            folder.rmdir()
