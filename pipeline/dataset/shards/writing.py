"""The writing of shards, each from its clips' own tars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from fsh.pipeline.dataset.shards.notes import ShardNote, written_as_planned
from fsh.pipeline.dataset.shards.plans import ShardClip, ShardPlan
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import StoreRefused, is_remote, read_object
from fsh.schemas.places.temporary import TEMPORARY, replacing
from fsh.schemas.shards.card import ShardInfo
from fsh.schemas.shards.sample import INFO, StoredSample, samples_in
from fsh.schemas.shards.tar import open_archive, write_members


class DamagedClip(FshError):
    """A clip's own tar is gone or damaged.

    Args:
        clip: on its way into a shard.
        cause: what is wrong with its tar.
    """

    def __init__(self, clip: ShardClip, cause: FshError) -> None:
        super().__init__(cause.what, where=clip.tar, remedy="run `fsh shard` again")
        self.clip = clip

    def __reduce__(self):
        return DamagedClip, (self.clip, FshError(self.what))


def samples_of_clip(data: DataFolder, clip: ShardClip) -> Iterator[StoredSample]:
    """The samples in a clip's own tar, each checked.

    Raises:
        DamagedClip: if one is damaged or missing.
    """
    tar, count = data.root / clip.tar, 0
    try:
        archive = read_object(tar) if is_remote(tar) else open_archive(tar)
        for sample in samples_in(archive, tar, closed=False):
            sample.check()
            count += 1
            yield sample
        if clip.samples not in (None, count):
            raise FshError(f"{count} samples, not {clip.samples}: cut short")
    except StoreRefused:  # which says nothing about the tar
        raise
    except FshError as error:
        raise DamagedClip(clip, error) from error


def _publish_always() -> None:
    """Nothing speaks against it."""


def write_shard(
    data: DataFolder, plan: ShardPlan, before_publishing: Callable[[], None] = _publish_always
) -> ShardInfo:
    """Write a shard, unless it is there already as planned; returns what it holds.

    Two may do so at the same time: each writes a file of its own, and the last one gives the shard
    its name, with the same bytes.

    Args:
        before_publishing: raises if this must not be the shard any more.

    Raises:
        DamagedClip: if a clip's own tar is gone or damaged; the shard is left as it was.
    """
    if written := written_as_planned(data, plan):
        return written
    path = data.shard(plan.split, plan.number)
    samples = frames = 0
    places: dict[str, tuple[int, int]] = {}
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            for clip in plan.clips:
                begin = file.tell()
                for sample in samples_of_clip(data, clip):
                    write_members(file, members_of(sample, clip.identity), end=False)
                    samples += 1
                    frames += sample.frames
                places[clip.clip_id] = (begin, file.tell() - begin)
            write_members(file, [], end=True)
        size, sha256 = temporary.stat().st_size, file_sha256(temporary)
        before_publishing()
    info = ShardInfo(
        path=str(path.relative_to(data.root)),
        split=plan.split,
        samples=samples,
        frames=frames,
        bytes=size,
        sha256=sha256,
    )
    ShardNote(plan.digest, info, places).write(data.shard_note(plan.split, plan.number))
    return info


def members_of(sample: StoredSample, identity: str) -> Iterator[tuple[str, bytes]]:
    """The (name, bytes) pairs of a sample in a clip's own tar, with the identity filled in."""
    for extension in sample.places:
        content = sample[extension]
        if extension == INFO:
            content = replace(sample.info, identity=identity).to_json()
        yield f"{sample.key}.{extension}", content


def remove_stale_shards(data: DataFolder, shards: Iterable[ShardInfo]) -> None:
    """Delete shards, and what is noted of them, that are no longer part of the data set.

    Half-written ones of a killed run go too.
    """
    current = {data.root / shard.path for shard in shards}
    for path in [*data.all_shards(), *data.shards.glob(f"*/{TEMPORARY}")]:
        if path not in current:
            path.unlink()
    names = {path.stem for path in current}
    for path in data.shard_notes.glob("fsh-*.json"):
        if path.stem not in names:
            path.unlink()
