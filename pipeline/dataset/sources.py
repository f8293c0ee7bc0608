"""Which of the ingested videos a data set is made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import file_size, is_remote
from fsh.schemas.tables.parquet import read_sources
from fsh.schemas.tables.records import Source, SourceState


def stored_sources(data: DataFolder) -> list[Source]:
    """The sources whose video is there and was not erased by any name.

    Raises:
        FshError: if nothing has been ingested, or nothing is left of it.
    """
    remedy = "run `fsh ingest` first"
    if not is_remote(data.root) and data.root.is_file():
        raise FshError("a file, not a data folder", where=data.root, remedy="name the folder")
    if file_size(data.sources) is None:
        raise FshError("no videos here", where=data.root, remedy=remedy)
    stored = [s for s in read_sources(data.sources) if s.state is SourceState.STORED]
    if not stored:
        raise FshError("none of the videos asked for is stored", where=data.sources, remedy=remedy)
    spared = Tombstones.read(data).spared(stored)
    if not spared:
        raise FshError("all videos stored here were erased on request", where=data.sources)
    return spared


def by_video(sources: Iterable[Source]) -> dict[str, list[Source]]:
    """The sources of each video, in their order: several requests may ask for one video."""
    grouped = defaultdict(list)
    for source in sources:
        grouped[source.video_id].append(source)
    return dict(grouped)
