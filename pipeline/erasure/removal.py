"""The sweep of an erasure: whatever the tombstones cover is removed, wherever it lies.

Each step can be repeated, and what later steps must find is removed last, so that after a kill at
any moment the same command finishes the job.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fsh.pipeline.dataset.finish import dataset_counts, with_places
from fsh.pipeline.erasure.plan import VIDEO_ID, known_clips, known_sources
from fsh.pipeline.erasure.shard_rewriting import rewrite, unknown_shards
from fsh.pipeline.ingest.journal import journal_files
from fsh.pipeline.ingest.ledger import Ledger
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import urls
from fsh.schemas.card import DatasetCard, ShardInfo
from fsh.schemas.ids import file_sha256
from fsh.schemas.layout import DataFolder, replacing
from fsh.schemas.records import Clip, Source
from fsh.schemas.tables import write_clips

#: Temporary files of :func:`fsh.schemas.layout.replacing` that a kill left behind.
_TEMPORARY = ".*.tmp"


def sweep(data: DataFolder, erased: Tombstones, step: Callable[[str], None]) -> None:
    """Remove whatever the tombstones cover; nothing is written where they cover nothing."""
    step("leftovers")
    for path in data.root.rglob(_TEMPORARY):
        path.unlink()
    shutil.rmtree(data.videos / ".incoming", ignore_errors=True)
    (data.work / "settled.parquet").unlink(missing_ok=True)
    step("inspect page")
    for page in data.root.rglob("*.html"):
        if _mentions(page.read_text(errors="replace"), erased):
            page.unlink()
    step("shards and tables")
    _sweep_tables(data, erased)
    step("cached work")
    for folder in data.work.iterdir() if data.work.is_dir() else ():
        if folder.is_dir() and erased.covers(video=folder.name):
            shutil.rmtree(folder)
    step("videos")
    known = {row["path"] for row in known_sources(data)}
    for path in data.videos.iterdir() if data.videos.is_dir() else ():
        orphan = str(path.relative_to(data.root)) not in known and path.is_file()
        if erased.covers(video=path.name.split(".")[0]) or (
            orphan and erased.covers(sha256=file_sha256(path))
        ):
            path.unlink()
    step("sources")
    _sweep_sources(data, erased)


def _sweep_tables(data: DataFolder, erased: Tombstones) -> None:
    """Shards, then the card, and last the table that tells which shards to look at."""
    rows = known_clips(data)
    left = [row for row in rows if not erased.covers(video=row["video_id"])]
    touched = {
        row["shard"] for row in rows if row["shard"] and erased.covers(video=row["video_id"])
    }
    touched |= set(unknown_shards(data, erased))
    written: dict[str, ShardInfo | None] = {}
    for name in sorted(touched):
        written[name] = rewrite(data, data.root / name, erased, left)
    if not touched and len(left) == len(rows):
        return
    clips = with_places(data, map(Clip.from_row, left), filter(None, written.values()))
    # The card holds the table's hash, and the table tells what is to be done: it comes last.
    table = data.clips.with_name(".clips-erased.tmp")
    if data.clips.is_file():
        write_clips(clips, table)
    if data.card.is_file():
        _describe(data, clips, written, table)
    if table.is_file():
        table.replace(data.clips)


def _describe(
    data: DataFolder, left: Sequence[Clip], written: Mapping[str, ShardInfo | None], table: Path
) -> None:
    """The data set's card, with the new shards and counts."""
    card = DatasetCard.read(data.card)
    infos = [written.get(info.path, info) for info in card.shards]
    order = tuple(info for info in infos if info)
    counts = dataset_counts(left, order)
    DatasetCard(card.spec, order, counts, card.made_with).write(data.card, table)


def _sweep_sources(data: DataFolder, erased: Tombstones) -> None:
    """The governor's hosts that nobody else uses, then the ledger; journals are taken into it."""
    if not data.sources.is_file() and not journal_files(data):
        return
    ledger = Ledger(data)
    gone = [name for name, row in ledger.rows.items() if erased.covers_source(Source.from_row(row))]
    if not gone and not journal_files(data):
        return
    hosts = {urls.host_group(ledger.rows.pop(name)["url"]) for name in gone}
    hosts -= {urls.host_group(row["url"]) for row in ledger.rows.values()}
    governor = data.sources.parent / "governor.json"
    if governor.is_file():
        text = governor.read_text()
        known = json.loads(text or "{}")
        if hosts & known.keys():
            with replacing(governor) as temporary:
                rest = {host: known[host] for host in known if host not in hosts}
                temporary.write_text(json.dumps(rest))
    ledger.compact(drop_journals=True)


def _mentions(text: str, erased: Tombstones) -> bool:
    return any(erased.covers(video=found) for found in set(VIDEO_ID.findall(text)))
