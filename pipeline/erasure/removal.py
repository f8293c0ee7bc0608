"""The removal of whatever the tombstones of a data folder cover, wherever it lies in it.

Each step can be repeated, and what later steps depend on is removed last, so that after a kill at
any moment the same command finishes the job.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fsh.pipeline.dataset.accounting import seconds_of
from fsh.pipeline.dataset.finish import dataset_counts, placed, places_in
from fsh.pipeline.dataset.settling.duplicates import with_duplicates
from fsh.pipeline.erasure.clip_tars import ClipTars
from fsh.pipeline.erasure.plan import VIDEO_ID, known_clips, known_sources
from fsh.pipeline.erasure.shard_rewriting import rewrite_shard, unrecorded_shards
from fsh.pipeline.ingest.journal import journal_files
from fsh.pipeline.ingest.ledger import Ledger
from fsh.pipeline.ingest.rate_limit import remove_hosts
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.ids import video_of
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import (
    StoreRefused,
    content_of,
    file_size,
    files_below,
    is_remote,
    listing,
    remove_files,
    remove_folder,
    remove_objects,
    size_and_sha256,
    store_of,
)
from fsh.schemas.places.temporary import TEMPORARY, replacing
from fsh.schemas.shards.card import DatasetCard, ShardInfo
from fsh.schemas.shards.dataset_readme import write_dataset_readme
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import write_tables
from fsh.schemas.tables.records import Clip
from fsh.schemas.tables.rows import tables_of


def remove_erased(
    data: DataFolder,
    erased: Tombstones,
    step: Callable[[str], None],
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Remove whatever the tombstones cover; nothing is written where they cover nothing.

    Args:
        step: called with the name of each step before it.
        say: is told, in one line each, what was damaged and what became of it.
    """
    step("temporary files")
    if not is_remote(data.root):
        _remove_temporary(data)
    shutil.rmtree(data.incoming, ignore_errors=True)
    remove_files(data.clips_without_shards)
    step("inspect page")
    for page in files_below(data.root, ".html"):
        if _names_erased(content_of(page), erased):
            remove_files(page)
    step("shards and tables")
    _remove_clips(data, erased, say)
    step("cached work")
    remove_folder(data.shard_plans)  # of a run that was killed
    remove_folder(data.packs)  # copies, which the next `fsh shard` makes anew
    _remove_work(data, erased)
    step("videos")
    _remove_videos(data, erased)
    step("sources")
    _remove_sources(data, erased)


def _remove_temporary(data: DataFolder) -> None:
    own = (data.records, data.videos, data.clips.parent, data.work, data.shards)
    for folder in own:  # the user may keep other things in the data folder
        for path in list(folder.rglob(TEMPORARY)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _remove_work(data: DataFolder, erased: Tombstones) -> None:
    """What is stored of the spans of erased videos."""
    for note in files_below(data.times):
        if erased.covers(video=note.name.partition(".")[0]):
            remove_files(note)
    if is_remote(data.work):
        begin = len(store_of(data.work)[1]) + 1
        names = listing(data.work)
        videos = {name[begin:].partition("/")[0] for name in names}
        gone = {video for video in videos if erased.covers(video=video)}
        own = [name for name in names if name[begin:].partition("/")[0] in gone]
        remove_objects(data.work, own)
        return
    for folder in data.work.iterdir() if data.work.is_dir() else ():
        if folder.is_dir() and erased.covers(video=folder.name):
            shutil.rmtree(folder)


def _remove_clips(data: DataFolder, erased: Tombstones, say: Callable[[str], None]) -> None:
    """Clips go from the shards, then from the card, and last from the table.

    The table says which shards to look at.
    """
    clips = known_clips(data)
    left = [clip for clip in clips if not erased.covers(video=clip.video_id)]
    touched = {clip.shard for clip in clips if clip.shard and erased.covers(video=clip.video_id)}
    touched |= set(unrecorded_shards(data, erased, say))
    tars = ClipTars(data)
    written: dict[str, ShardInfo | None] = {
        name: rewrite_shard(data, data.root / name, erased, left, tars, say)
        for name in sorted(touched)
    }
    if not touched and len(left) == len(clips):
        return
    gone = {name for name, info in written.items() if info is None}
    left = [
        replace(clip, shard=None, offset=None, bytes=None) if clip.shard in gone else clip
        for clip in left
    ]
    left = _without_links(left, erased)
    if file_size(data.clips) is None:
        _write_card(data, left, written, data.clips, say)
        return
    # The card holds the table's hash, and the table says what is left to do: it comes last.
    with replacing(data.clips) as table:
        places = places_in(data, filter(None, written.values()))
        made = tables_of(left, CLIPS, Clip.in_table)
        write_tables((placed(one, places) for one in made), table, CLIPS)
        _write_card(data, left, written, table, say)


def _without_links(clips: Sequence[Clip], erased: Tombstones) -> list[Clip]:
    """The clips, none of which is said to show what an erased one shows."""

    def is_linked(clip: Clip) -> bool:
        return bool(clip.duplicate_of) and erased.covers(video=video_of(clip.duplicate_of or ""))

    if any(map(is_linked, clips)):
        clips = with_duplicates(clips)
    return [replace(clip, duplicate_of=None) if is_linked(clip) else clip for clip in clips]


def _write_card(
    data: DataFolder,
    clips: Sequence[Clip],
    written: Mapping[str, ShardInfo | None],
    table: Path,
    say: Callable[[str], None],
) -> None:
    """Write the data set's card, if there is one, with the new shards and counts."""
    if file_size(data.card) is None:
        return
    try:
        card = DatasetCard.read(data.card)
    except StoreRefused:
        raise
    except FshError as error:  # it cannot be brought up to date, and must not say what was
        remove_files(data.card)
        say(f"{error.where}: {error.what}: removed → `fsh shard` makes it anew")
        return
    infos = [written.get(info.path, info) for info in card.shards]
    order = tuple(info for info in infos if info)
    counts = dataset_counts(clips, order)
    left = replace(card, shards=order, counts=counts, seconds=seconds_of(clips).to_card())
    left.write(data.card, table)
    write_dataset_readme(data)


def _remove_videos(data: DataFolder, erased: Tombstones) -> None:
    """Stored videos, and files that no source names but whose content was erased."""
    known = {source.path for source in known_sources(data)}
    remote = is_remote(data.videos)
    paths = list(files_below(data.videos) if remote else data.videos.glob("*"))
    for path in paths:
        orphan = str(path.relative_to(data.root)) not in known and (remote or path.is_file())
        if erased.covers(video=path.name.split(".")[0]) or (
            orphan and erased.covers(sha256=size_and_sha256(path)[1])
        ):
            remove_files(path)


def _remove_sources(data: DataFolder, erased: Tombstones) -> None:
    """Hosts that no other source has go from the rate limiter's file, then sources from the ledger.

    Journals are taken into the table.
    """
    if file_size(data.sources) is None and not journal_files(data):
        return
    ledger = Ledger(data)
    gone = [name for name, source in ledger.sources.items() if erased.covers_source(source)]
    if not gone and not journal_files(data):
        return
    hosts = {urls.host_group(ledger.sources.pop(name).url) for name in gone}
    hosts -= {urls.host_group(source.url) for source in ledger.sources.values()}
    remove_hosts(data.rate_limits, hosts)
    ledger.compact(drop_journals=True)


def _names_erased(page: bytes, erased: Tombstones) -> bool:
    """Whether a text holds the id of an erased video."""
    text = page.decode(errors="replace")
    return any(erased.covers(video=found) for found in set(VIDEO_ID.findall(text)))
