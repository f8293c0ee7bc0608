"""What is stored of finished and failed spans: a table each, and a tar per cropped clip."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans import Span
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.records import FAILURES, Clip, RejectReason
from fsh.schemas.span_layout import SpanFolder
from fsh.schemas.tables import read_clips, write_clips

#: What :meth:`fsh.schemas.layout.DataFolder.span` calls folders; no other folder is fsh's.
_SPAN_NAME = re.compile(r"\d{9,}-[0-9a-f]+")


@dataclass(frozen=True)
class FinishedClip:
    """A row of a finished span's table.

    Attributes:
        clip: with its scores; its identity, split and shard are not known yet.
        tar: path below the data folder of its samples; "" if it was not cropped.
    """

    clip: Clip
    tar: str


def record_failure(
    data: DataFolder, span: Span, analysis: AnalysisConfig, reason: RejectReason, detail: str
) -> None:
    """Store a failed span as one row, so that a later run does not try it again unasked.

    Args:
        detail: the cause in one line.
    """
    folder = span.folder(data, analysis)
    shutil.rmtree(folder.root, ignore_errors=True)
    failed = Clip(
        video_id=span.video_id,
        start=span.start,
        end=span.end,
        reason=reason,
        # Without the data folder's own path: the table must not depend on where it lies.
        error=detail.replace(f"{data.root}/", ""),
        spec=analysis.spec.hash,
    )
    write_clips([failed], folder.clips)


def pending_spans(
    data: DataFolder, spans: Iterable[Span], analysis: AnalysisConfig, *, retry_failed: bool
) -> list[Span]:
    """The spans that are not done. Failed ones are, unless they are to be tried again."""
    pending = []
    for span in spans:
        table = span.folder(data, analysis).clips
        if not table.is_file():
            pending.append(span)
        elif retry_failed and any(clip.reason in FAILURES for clip in _clips_or_none(table) or ()):
            table.unlink()
            pending.append(span)
    return pending


def read_finished(
    data: DataFolder, spans: Iterable[Span], analysis: AnalysisConfig
) -> list[FinishedClip] | None:
    """The rows of all finished spans, in the order of the spans.

    A span whose table cannot be read, or one of whose tars is gone, is discarded.

    Returns:
        None if any span was discarded: it is pending again.
    """
    finished, whole = [], True
    for span in spans:
        folder = span.folder(data, analysis)
        clips = _clips_or_none(folder.clips)
        tars = [folder.clip(clip.clip_id) for clip in clips or () if clip.clip_id and clip.samples]
        if clips is None or not all(tar.is_file() for tar in tars):
            folder.clips.unlink(missing_ok=True)
            whole = False
            continue
        for clip in clips:
            tar = folder.clip(clip.clip_id) if clip.clip_id and clip.samples else None
            path = str(tar.relative_to(data.root)) if tar else ""
            finished.append(FinishedClip(clip, path))
    return finished if whole else None


def discard_span_of(data: DataFolder, tar: str) -> None:
    """Make the span that a damaged clip's tar belongs to pending again.

    Args:
        tar: path below the data folder.
    """
    SpanFolder((data.root / tar).parent).clips.unlink(missing_ok=True)


def _clips_or_none(table: Path) -> list[Clip] | None:
    """The rows of a span's table; None if it cannot be read."""
    try:
        return read_clips(table)
    except FshError:
        return None


def remove_stale_spans(data: DataFolder, spans: Iterable[Span], analysis: AnalysisConfig) -> None:
    """Delete results of videos, ranges and settings that are no longer asked for."""
    current = {span.folder(data, analysis).root for span in spans}
    videos = {folder.parent for folder in current}
    for video in data.work.iterdir() if data.work.is_dir() else ():
        if video == data.shard_notes or not video.is_dir():
            continue
        for result in video.iterdir():
            if result not in current and _SPAN_NAME.fullmatch(result.name) and result.is_dir():
                shutil.rmtree(result)
        if video not in videos and not any(video.iterdir()):
            video.rmdir()
