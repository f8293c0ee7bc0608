"""What is stored of finished and failed spans: a table each, and a tar per cropped clip.

Workers may do a span twice, also at the same time, and die at any moment. So each writes into a
folder of its own, which takes the span's name in one step; who comes second leaves it at that.
Workers remove nothing but what is theirs alone; what is damaged or not asked for any more is
removed by the command that holds the data folder's lock.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.span_packs import (
    MOST,
    SpanTable,
    read_packs,
    stale_packs,
    stamp_of,
    write_pack,
)
from fsh.pipeline.dataset.spans import Span
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.records import FAILURES, Clip, RejectReason
from fsh.schemas.span_layout import SpanFolder
from fsh.schemas.tables import CLIPS, clips_of, read_clips, read_table, write_clips
from fsh.schemas.temporary import remove_abandoned, temporary_folder

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
    failed = Clip(
        video_id=span.video_id,
        start=span.start,
        end=span.end,
        cover_start=span.start,
        cover_end=span.end,
        reason=reason,
        # Without the data folder's own path: the table must not depend on where it lies.
        error=detail.replace(f"{data.root}/", ""),
        spec=analysis.spec.hash,
    )
    with span_results(data, span, analysis) as folder:
        write_clips([failed], folder.clips)


def is_finished(data: DataFolder, span: Span, analysis: AnalysisConfig) -> bool:
    """Whether a span's results, or its failure, are stored."""
    return span.folder(data, analysis).clips.is_file()


@contextmanager
def span_results(data: DataFolder, span: Span, analysis: AnalysisConfig) -> Iterator[SpanFolder]:
    """Yield an empty folder for a span's results; at the end they are published in one step.

    If another worker has published its own meanwhile, these are dropped, except that results take
    the place of a failure. An error in the block publishes nothing.
    """
    folder = span.folder(data, analysis)
    with temporary_folder(folder.root) as temporary:
        yield SpanFolder(temporary)
        _publish(SpanFolder(temporary), folder)


def _publish(made: SpanFolder, folder: SpanFolder) -> None:
    made.root.chmod(0o755)
    try:
        made.root.rename(folder.root)
        return
    except OSError as error:
        # A network file system may have done it although its answer was lost.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) and made.clips.exists():
            raise
    if folder.clips.is_file() and not (_is_failure(folder) and not _is_failure(made)):
        return
    # A failure is there, or what a discarded table has left: the table comes last, it is the sign.
    for tar in made.root.glob("*.tar"):
        tar.replace(folder.root / tar.name)
    made.clips.replace(folder.clips)


def _is_failure(folder: SpanFolder) -> bool:
    return any(clip.reason in FAILURES for clip in _clips_or_none(folder.clips) or ())


def pending_spans(
    data: DataFolder, spans: Iterable[Span], analysis: AnalysisConfig, *, retry_failed: bool
) -> list[Span]:
    """The spans that are not done. Failed ones are, unless they are to be tried again."""
    pending = []
    for span in spans:
        folder = span.folder(data, analysis)
        if not folder.clips.is_file():
            pending.append(span)
        elif retry_failed and _is_failure(folder):
            _discard(folder)
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
    finished, whole, fresh = [], True, list[SpanTable]()
    packed = read_packs(data, analysis)
    for span in spans:
        folder = span.folder(data, analysis)
        stamp, (known, clips) = stamp_of(folder), packed.get(folder.root, ("", None))
        if not stamp or stamp != known:
            clips = None
            if read := _read_or_none(folder, stamp):
                table, clips = read
                fresh.append(table)
        if len(fresh) == MOST:
            write_pack(data, analysis, fresh)
            fresh.clear()
        tars = [folder.clip(clip.clip_id) for clip in clips or () if clip.clip_id and clip.samples]
        if clips is None or not all(tar.is_file() for tar in tars):
            _discard(folder)
            whole = False
            continue
        for clip in clips:
            tar = folder.clip(clip.clip_id) if clip.clip_id and clip.samples else None
            path = str(tar.relative_to(data.root)) if tar else ""
            finished.append(FinishedClip(clip, path))
    write_pack(data, analysis, fresh)
    return finished if whole else None


def discard_span_of(data: DataFolder, tar: str) -> None:
    """Make the span that a damaged clip's tar belongs to pending again.

    Args:
        tar: path below the data folder.
    """
    _discard(SpanFolder((data.root / tar).parent))


def _discard(folder: SpanFolder) -> None:
    """Remove a span's results; the table first, since it says that they are there."""
    folder.clips.unlink(missing_ok=True)
    shutil.rmtree(folder.root, ignore_errors=True)


def _clips_or_none(table: Path) -> list[Clip] | None:
    """The rows of a span's table; None if it cannot be read."""
    try:
        return read_clips(table)
    except FshError:
        return None


def _read_or_none(folder: SpanFolder, stamp: str) -> tuple[SpanTable, list[Clip]] | None:
    """A span's table, and its rows; None if it cannot be read."""
    try:
        table = read_table(folder.clips, CLIPS)
        return SpanTable(folder, stamp, table), clips_of(table, folder.clips)
    except FshError:
        return None


def remove_stale_spans(data: DataFolder, spans: Iterable[Span], analysis: AnalysisConfig) -> None:
    """Delete results of videos, ranges and settings that are no longer asked for.

    What killed workers left half done goes as well.
    """
    for pack in stale_packs(data, analysis):
        pack.unlink()
    current = {span.folder(data, analysis).root for span in spans}
    videos = {folder.parent for folder in current}
    for video in data.work.iterdir() if data.work.is_dir() else ():
        if video in (data.shard_notes, data.packs) or not video.is_dir():
            continue
        remove_abandoned(video)
        for result in video.iterdir():
            if result in current or not _SPAN_NAME.fullmatch(result.stem):
                continue
            if result.is_dir():
                shutil.rmtree(result)
            elif result == SpanFolder(result.with_suffix("")).progress:
                result.unlink()
        if video not in videos and not any(video.iterdir()):
            video.rmdir()
