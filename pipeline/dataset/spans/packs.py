"""The tables of many finished spans in one file, so that not each has to be opened again.

A pack is a copy of what is in the spans' own tables, beside the stamp that each had. Where a span's
table has another one now, or none, the pack says nothing about it. Whoever holds the data folder's
lock writes packs, in one step, and any of them may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.schemas.errors import FshError
from fsh.schemas.ids import digest
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.span_layout import SpanFolder
from fsh.schemas.places.temporary import replacing
from fsh.schemas.tables.parquet import clips_of
from fsh.schemas.tables.records import Clip

#: Spans from which on a pack is worth its file, and those of one pack: so many tables are in memory
#: at once.
LEAST, MOST = 500, 2000
#: Columns beside those of the table of clips: path of the span's folder below the work folder, and
#: the stamp of its table.
_SPAN, _STAMP = "span", "stamp"


@dataclass(frozen=True)
class SpanTable:
    """A span's table as it was read.

    Attributes:
        stamp: that it had then.
    """

    folder: SpanFolder
    stamp: str
    rows: pa.Table


def stamp_of(folder: SpanFolder) -> str:
    """What changes when a span's table does; "" if there is none."""
    try:
        status = folder.clips.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns}-{status.st_size}"


def packs_of(data: DataFolder, analysis: AnalysisConfig | None = None) -> list[Path]:
    """The packs of these settings; None: all."""
    pattern = f"{analysis.hash}-*.parquet" if analysis else "*.parquet"
    return sorted(data.packs.glob(pattern))


def read_packs(data: DataFolder, analysis: AnalysisConfig) -> Mapping[Path, tuple[str, list[Clip]]]:
    """Of each span's folder in a pack, the stamp that its table had, and its rows.

    A pack that cannot be read is left out.
    """
    found: dict[Path, tuple[str, list[Clip]]] = {}
    for path in packs_of(data, analysis):
        try:
            with path.open("rb") as file:
                table = pq.ParquetFile(file).read()
            spans, stamps = (table[name].to_pylist() for name in (_SPAN, _STAMP))
            clips = clips_of(table.drop_columns([_SPAN, _STAMP]), path)
        except (pa.ArrowException, OSError, ValueError, KeyError, FshError):
            continue
        for span, stamp, clip in zip(spans, stamps, clips, strict=True):
            known = found.get(data.work / span)
            if known is None or known[0] != stamp:
                known = found[data.work / span] = (stamp, [])
            known[1].append(clip)
    return found


def write_pack(data: DataFolder, analysis: AnalysisConfig, spans: Iterable[SpanTable]) -> None:
    """Write a pack of spans that are in none, if they are many.

    Raises:
        FshError: if the place cannot be written, or the disk is full.
    """
    tables = [_labelled(data, span) for span in spans if len(span.rows)]
    if len(tables) < LEAST:
        return
    whole = pa.concat_tables(tables).combine_chunks()
    name = digest([sorted(set(whole[_SPAN].to_pylist())), sorted(set(whole[_STAMP].to_pylist()))])
    path = data.packs / f"{analysis.hash}-{name}.parquet"
    with replacing(path) as temporary, temporary.open("wb") as file:
        pq.write_table(whole, file, compression="zstd")


def _labelled(data: DataFolder, span: SpanTable) -> pa.Table:
    where = str(span.folder.root.relative_to(data.work))
    labels = {_SPAN: where, _STAMP: span.stamp}
    table = span.rows
    for name, value in labels.items():
        table = table.append_column(name, pa.array([value] * len(table), pa.string()))
    return table


def stale_packs(data: DataFolder, analysis: AnalysisConfig) -> Iterator[Path]:
    """Those of other settings."""
    current = set(packs_of(data, analysis))
    yield from (path for path in packs_of(data) if path not in current)
