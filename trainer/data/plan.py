"""What a run will read, checked before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.local_copies import ShardFiles, ShardOpener, opened
from fsh.schemas.places.stores import is_remote
from fsh.schemas.shards.card import DatasetCard, require_shards
from fsh.schemas.shards.sample import StoredSample, samples_in
from fsh.schemas.shards.tar import open_archive
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import read_table
from fsh.schemas.trained_on import TrainedFace, trained_faces


@dataclass(frozen=True)
class DataPlan:
    """What a run will read, checked before anything starts.

    Attributes:
        shards: absolute paths, or addresses in an object store.
        samples: in all shards together.
        videos: ids of the videos with kept training clips.
        faces: the people in them, as the table of clips has them.
        workers: loader processes per rank (0: none), after the check.
        opener: opens one of ``shards``.
    """

    card: DatasetCard
    shards: tuple[str, ...]
    samples: int
    videos: tuple[str, ...]
    faces: tuple[TrainedFace, ...]
    workers: int
    note: str = ""
    opener: ShardOpener = opened

    def samples_of(self, shard: str) -> Iterator[StoredSample]:
        """The samples of one of ``shards``.

        Raises:
            FshError: if it cannot be read.
        """
        with self.opener(shard) as file:
            yield from samples_in(open_archive(file.name), shard)


def plan_data(data: DataFolder, *, workers: int, world: int = 1, split: str = "train") -> DataPlan:
    """Read the card and the table of clips and check that every reader has a shard.

    Raises:
        FshError: no data set, an empty split, a shard that is missing or of another size than
            the card says, or fewer shards than ranks.
    """
    card = DatasetCard.read(data.card)
    infos = card.split(split)
    if not infos:
        raise FshError(f"no {split} shards in this data set", where=data.card, remedy="add videos")
    require_shards(data.root, infos)
    paths = [data.root / info.path for info in infos]
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
    names = tuple(str(path.resolve()) for path in paths)
    opener: ShardOpener = opened
    if is_remote(data.root):
        hashes = {name: info.sha256 for name, info in zip(names, infos, strict=True)}
        opener = ShardFiles(dict(zip(names, paths, strict=True)), hashes).open
    faces = trained_faces(read_table(data.clips, CLIPS), split)
    return DataPlan(
        card=card,
        shards=names,
        samples=sum(info.samples for info in infos),
        videos=tuple(sorted({face.video_id for face in faces})),
        faces=faces,
        workers=workers,
        note=note,
        opener=opener,
    )
