"""What is stored of finished and failed spans: a table each, and a tar per cropped clip.

Workers may do a span twice, also at the same time, and die at any moment. So each writes into a
folder of its own, which takes the span's name in one step; who comes second leaves it at that.
Workers remove nothing but what is theirs alone; what is damaged or not asked for any more is
removed by the command that holds the data folder's lock.

In an object store, where nothing is renamed, the tars are uploaded first and the table last, on the
condition that there is none: it is the sign there as well.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.packs import (
    MOST,
    SpanTable,
    read_packs,
    stale_packs,
    stamp_of,
    write_pack,
)
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.span_layout import SpanFolder
from fsh.schemas.places.stores import (
    StoreRefused,
    cache_folder,
    file_size,
    is_remote,
    listing,
    remove_objects,
    sizes_of,
    store_of,
    upload,
    write_if_absent,
)
from fsh.schemas.places.temporary import remove_abandoned, temporary_folder
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import clips_of, read_clips, read_table, write_clips
from fsh.schemas.tables.records import FAILURES, Clip, RejectReason

#: Tables that are read at the same time.
_AT_ONCE = 8
#: What :meth:`fsh.schemas.places.layout.DataFolder.span` calls folders; no other folder is fsh's.
_SPAN_NAME = re.compile(r"\d{9,}-[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class FinishedClip:
    """A row of a finished span's table.

    Attributes:
        clip: with its scores; its identity, split and shard are not known yet.
        tar: path below the data folder of its samples; "" if it was not cropped.
        bytes: of the tar.
    """

    clip: Clip
    tar: str
    bytes: int = field(default=0, compare=False)


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
    return file_size(span.folder(data, analysis).clips) is not None


@contextmanager
def span_results(data: DataFolder, span: Span, analysis: AnalysisConfig) -> Iterator[SpanFolder]:
    """Yield an empty folder for a span's results; at the end they are published in one step.

    If another worker has published its own meanwhile, these are dropped, except that results take
    the place of a failure. An error in the block publishes nothing.
    """
    folder = span.folder(data, analysis)
    if is_remote(folder.root):
        with temporary_folder(cache_folder() / "spans" / folder.root.name) as temporary:
            yield SpanFolder(temporary)
            publish_in_store(SpanFolder(temporary), folder)
        return
    with temporary_folder(folder.root) as temporary:
        yield SpanFolder(temporary)
        _publish(SpanFolder(temporary), folder)


def publish_in_store(made: SpanFolder, folder: SpanFolder) -> None:
    """Upload a span's results to its folder in a store, unless another worker's are there.

    Raises:
        StoreRefused: if the store does not take them.
    """
    better = not _is_failure(made)
    if file_size(folder.clips) is not None and not (better and _is_failure(folder)):
        return
    for tar in sorted(made.root.glob("*.tar")):
        upload(tar, folder.root / tar.name)
    first = write_if_absent(folder.clips, made.clips.read_bytes())
    if not first and better and _is_failure(folder):
        upload(made.clips, folder.clips)


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
    folders = [(span, span.folder(data, analysis)) for span in spans]
    done = sizes_of(data.work, [folder.clips for _, folder in folders])
    for span, folder in folders:
        if folder.clips not in done:
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
    finished, whole = [], True
    local = not is_remote(data.work)  # packs are of what costs an open file each
    packed = read_packs(data, analysis) if local else {}
    folders = [span.folder(data, analysis) for span in spans]
    rows: list[list[Clip] | None] = []
    fresh: list[SpanTable] = []
    with ThreadPoolExecutor(_AT_ONCE) as threads:  # a store takes its time for each answer
        for begin in range(0, len(folders), MOST):
            some = folders[begin : begin + MOST]
            for clips, table in threads.map(lambda folder: _finished_table(folder, packed), some):
                rows.append(clips)
                fresh += [table] if table is not None else []
            if len(fresh) >= MOST:  # before there are more of them
                write_pack(data, analysis, fresh[:MOST])
                del fresh[:MOST]
    write_pack(data, analysis, fresh)
    listed = {} if local else sizes_of(data.work, chain.from_iterable(map(_tars, folders, rows)))
    for folder, clips in zip(folders, rows, strict=True):
        tars = _tars(folder, clips)
        sizes = sizes_of(folder.root, tars) if local else listed  # here all would be a lot
        if clips is None or not all(tar in sizes for tar in tars):
            _discard(folder)
            whole = False
            continue
        for clip in clips:
            tar = folder.clip(clip.clip_id) if clip.clip_id and clip.samples else None
            path, size = (str(tar.relative_to(data.root)), sizes[tar]) if tar else ("", 0)
            finished.append(FinishedClip(clip, path, size))
    return finished if whole else None


def _tars(folder: SpanFolder, clips: Iterable[Clip] | None) -> list[Path]:
    return [folder.clip(clip.clip_id) for clip in clips or () if clip.clip_id and clip.samples]


def discard_span_of(data: DataFolder, tar: str) -> None:
    """Make the span that a damaged clip's tar belongs to pending again.

    Args:
        tar: path below the data folder.
    """
    _discard(SpanFolder((data.root / tar).parent))


def _discard(folder: SpanFolder) -> None:
    """Remove a span's results; the table first, since it says that they are there."""
    folder.clips.unlink(missing_ok=True)
    if is_remote(folder.root):
        remove_objects(folder.root, listing(folder.root))
    else:
        shutil.rmtree(folder.root, ignore_errors=True)


def _clips_or_none(table: Path) -> list[Clip] | None:
    """The rows of a span's table; None if it cannot be read."""
    try:
        return read_clips(table)
    except StoreRefused:  # which says nothing about the table
        raise
    except FshError:
        return None


def _finished_table(
    folder: SpanFolder, packed: Mapping[Path, tuple[str, list[Clip]]]
) -> tuple[list[Clip] | None, SpanTable | None]:
    """A span's rows, None if they cannot be read; and its table, if no pack has it as it is."""
    stamp = "" if is_remote(folder.clips) else stamp_of(folder)
    known, clips = packed.get(folder.root, ("", None))
    if stamp and stamp == known:
        return clips, None
    try:
        table = read_table(folder.clips, CLIPS)
        return clips_of(table, folder.clips), SpanTable(folder, stamp, table) if stamp else None
    except StoreRefused:  # which says nothing about the table
        raise
    except FshError:
        return None, None


def remove_stale_spans(data: DataFolder, spans: Iterable[Span], analysis: AnalysisConfig) -> None:
    """Delete results of videos, ranges and settings that are no longer asked for.

    What killed workers left half done goes as well.
    """
    current = {span.folder(data, analysis).root for span in spans}
    if is_remote(data.work):
        _remove_stale_objects(data, current)
        return
    for pack in stale_packs(data, analysis):
        pack.unlink()
    videos = {folder.parent for folder in current}
    for video in data.work.iterdir() if data.work.is_dir() else ():
        if video in (data.shard_notes, data.packs, data.times) or not video.is_dir():
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


def _remove_stale_objects(data: DataFolder, current: Iterable[Path]) -> None:
    work, kept = store_of(data.work)[1], {store_of(folder)[1] for folder in current}
    stale = []
    for name in listing(data.work):
        parts = name.removeprefix(f"{work}/").split("/")
        is_result = len(parts) == 3 and _SPAN_NAME.fullmatch(parts[1])
        if is_result and name.rpartition("/")[0] not in kept:
            stale.append(name)
    remove_objects(data.work, stale)
