"""What a run will read, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass

from fsh.schemas.card import DatasetCard
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.tables import CLIPS, read_table


@dataclass(frozen=True)
class DataPlan:
    """What a run will read, checked before anything starts.

    Attributes:
        shards: absolute paths.
        samples: in all shards together.
        videos: ids of the videos with kept training clips.
        workers: loader processes per rank (0: none), after the check.
    """

    card: DatasetCard
    shards: tuple[str, ...]
    samples: int
    videos: tuple[str, ...]
    workers: int
    note: str = ""


def plan_data(data: DataFolder, *, workers: int, world: int = 1, split: str = "train") -> DataPlan:
    """Read the card and the table of clips and check that every reader has a shard.

    Raises:
        FshError: no data set, an empty split, a missing shard, or fewer shards than ranks.
    """
    card = DatasetCard.read(data.card)
    infos = card.split(split)
    if not infos:
        raise FshError(f"no {split} shards in this data set", where=data.card, remedy="add videos")
    paths = [data.root / info.path for info in infos]
    if missing := [path for path in paths if not path.is_file()]:
        raise FshError("this shard is missing", where=missing[0], remedy="run `fsh shard` again")
    if len(paths) < world:
        raise FshError(
            f"{len(paths)} {split} shards for {world} processes: some would have nothing to read",
            where=data.shards,
            remedy="use fewer processes, or shard with a smaller shard size",
        )
    allowed = len(paths) // world
    note = ""
    if workers > allowed:
        note = f"{len(paths)} shards allow {allowed} loader processes per rank, not {workers}"
        workers = allowed
    rows = read_table(data.clips, CLIPS).select(["video_id", "split", "kept"]).to_pylist()
    videos = sorted({row["video_id"] for row in rows if row["kept"] and row["split"] == split})
    return DataPlan(
        card=card,
        shards=tuple(str(path.resolve()) for path in paths),
        samples=sum(info.samples for info in infos),
        videos=tuple(videos),
        workers=workers,
        note=note,
    )
