"""Taking clips out of written shards: every other clip keeps its bytes and its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fsh.pipeline.dataset.shards import ShardClip, ShardNote, ShardPlan
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.card import ShardInfo
from fsh.schemas.ids import clip_of, file_sha256, video_of
from fsh.schemas.layout import DataFolder, replacing, shard_number
from fsh.schemas.records import Clip
from fsh.schemas.sample import read_samples
from fsh.schemas.tar import open_archive, write_members


@dataclass
class ShardContents:
    """What is left in a shard.

    Attributes:
        places: clip id → offset and bytes of its members.
        samples, frames: counts.
    """

    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    samples: int = 0
    frames: int = 0


def remove_clips(path: Path, erased: Tombstones) -> ShardContents | None:
    """Take the erased clips out of a shard; all others keep their bytes and their order.

    Returns:
        What is left; None if nothing is and the shard was removed, or there was none.

    Raises:
        FshError: if the shard is damaged.
    """
    if not path.is_file():
        return None
    left = ShardContents()
    extents: dict[str, tuple[int, int]] = {}
    removed = False
    for sample in read_samples(path):
        clip = clip_of(sample.key)
        if _is_erased_clip(clip, erased):
            removed = True
            continue
        begin, end = sample.extent
        extents[clip] = (extents.get(clip, (begin, end))[0], end)
        left.samples += 1
        left.frames += sample.frames
    if not extents:
        path.unlink()
        return None
    offset = 0
    for clip, (begin, end) in extents.items():
        left.places[clip] = (offset, end - begin)
        offset += end - begin
    if removed:
        archive = open_archive(path)
        with replacing(path) as temporary, temporary.open("wb") as file:
            for begin, end in extents.values():
                file.write(archive[begin:end])
            write_members(file, [], end=True)
    return left


def rewrite_shard(
    data: DataFolder, path: Path, erased: Tombstones, clips: Sequence[Clip]
) -> ShardInfo | None:
    """:func:`remove_clips`, and note what the shard holds now.

    Args:
        clips: those of the table that are not erased.

    Returns:
        What the card says of the shard; None if it is gone.
    """
    split, number = path.parent.name, shard_number(path)
    note = data.shard_note(split, number)
    note.unlink(missing_ok=True)
    left = remove_clips(path, erased)
    if left is None:
        return None
    info = ShardInfo(
        path=str(path.relative_to(data.root)),
        split=split,
        samples=left.samples,
        frames=left.frames,
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
    )
    names = {clip.clip_id: clip.identity or "" for clip in clips if clip.kept}
    entries = []
    for clip in left.places:
        tars = data.clip_tars(clip)
        if len(tars) != 1 or clip not in names:
            return info  # `fsh shard` will make sure of this shard itself
        tar = str(tars[0].relative_to(data.root))
        entries.append(ShardClip(clip, names[clip], tar, tars[0].stat().st_size))
    planned = ShardPlan(split, number, tuple(entries)).digest
    ShardNote(planned, info, left.places).write(note)
    return info


def unrecorded_shards(data: DataFolder, erased: Tombstones) -> Iterator[str]:
    """Shards with erased clips that the table does not name: a kill came before it was written.

    Raises:
        FshError: if a shard that has no note is damaged.
    """
    for path in data.all_shards():
        note = ShardNote.read(data.shard_note(path.parent.name, shard_number(path)))
        clips = set(note.clips) if note else {clip_of(one.key) for one in read_samples(path)}
        if any(_is_erased_clip(clip, erased) for clip in clips):
            yield str(path.relative_to(data.root))


def _is_erased_clip(clip: str, erased: Tombstones) -> bool:
    return erased.covers(video=video_of(clip))
