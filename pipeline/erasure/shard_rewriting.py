"""Taking clips out of written shards: every other clip keeps its bytes and its order."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fsh.pipeline.dataset.shards.notes import ShardNote
from fsh.pipeline.dataset.shards.plans import ShardClip, ShardPlan
from fsh.pipeline.dataset.shards.writing import DamagedClip, write_shard
from fsh.pipeline.erasure.clip_tars import ClipTars
from fsh.pipeline.erasure.plan import VIDEO_ID
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.ids import clip_of, video_of
from fsh.schemas.places.layout import DataFolder, shard_number
from fsh.schemas.places.stores import (
    StoreRefused,
    content_of,
    file_size,
    is_remote,
    read_object,
    remove_files,
    size_and_sha256,
)
from fsh.schemas.places.temporary import replacing
from fsh.schemas.shards.card import ShardInfo
from fsh.schemas.shards.sample import samples_in
from fsh.schemas.shards.tar import open_archive, write_members
from fsh.schemas.tables.records import Clip


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
    if file_size(path) is None:
        return None
    archive = _archive(path)
    left = ShardContents()
    extents: dict[str, tuple[int, int]] = {}
    removed = False
    for sample in samples_in(archive, path):
        clip = clip_of(sample.key)
        if _is_erased_clip(clip, erased):
            removed = True
            continue
        begin, end = sample.extent
        extents[clip] = (extents.get(clip, (begin, end))[0], end)
        left.samples += 1
        left.frames += sample.frames
    if not extents:
        remove_files(path)
        return None
    offset = 0
    for clip, (begin, end) in extents.items():
        left.places[clip] = (offset, end - begin)
        offset += end - begin
    if removed:
        with replacing(path) as temporary, temporary.open("wb") as file:
            for begin, end in extents.values():
                file.write(archive[begin:end])
            write_members(file, [], end=True)
    return left


def _archive(path: Path) -> mmap.mmap | bytes:
    """A tar; of one in a store nothing is left on this machine."""
    return read_object(path) if is_remote(path) else open_archive(path)


def rewrite_shard(
    data: DataFolder,
    path: Path,
    erased: Tombstones,
    clips: Sequence[Clip],
    tars: ClipTars,
    say: Callable[[str], None] = lambda _: None,
) -> ShardInfo | None:
    """:func:`remove_clips`, and note what the shard holds now.

    A damaged shard is made anew of its other clips' own tars; if these are not there any more, it
    is removed, because the erased must not stay in it.

    Args:
        clips: those of the table that are not erased.
        say: is told what became of a damaged shard.

    Returns:
        What the card says of the shard; None if it is gone.
    """
    split, number = path.parent.name, shard_number(path)
    note = data.shard_note(split, number)
    remove_files(note)
    try:
        left = remove_clips(path, erased)
    except StoreRefused:  # which says nothing about the shard
        raise
    except FshError as error:
        return _replace_damaged(data, path, clips, tars, error, say)
    if left is None:
        return None
    size, sha256 = size_and_sha256(path)
    info = ShardInfo(
        path=str(path.relative_to(data.root)),
        split=split,
        samples=left.samples,
        frames=left.frames,
        bytes=size,
        sha256=sha256,
    )
    planned = _plan_of(tars, path, list(left.places), clips)
    if planned:  # else `fsh shard` will make sure of this shard itself
        ShardNote(planned.digest, info, left.places).write(note)
    return info


def _plan_of(
    tars: ClipTars, path: Path, names: Sequence[str], clips: Sequence[Clip]
) -> ShardPlan | None:
    """The plan by which ``fsh shard`` would write a shard; None if not all it needs is there.

    Args:
        names: ids of the shard's clips, in their order.
        clips: of the table.
    """
    known = {clip.clip_id: clip for clip in clips if clip.kept}
    entries = []
    for name in names:
        own = tars.of(name)
        if len(own) != 1 or name not in known:
            return None
        ((tar, size),) = own.items()
        entries.append(ShardClip(name, known[name].identity or "", tar, size, known[name].samples))
    return ShardPlan(path.parent.name, shard_number(path), tuple(entries))


def _replace_damaged(
    data: DataFolder,
    path: Path,
    clips: Sequence[Clip],
    tars: ClipTars,
    error: FshError,
    say: Callable[[str], None],
) -> ShardInfo | None:
    """A damaged shard made anew without the erased, or removed if that cannot be done."""
    name = str(path.relative_to(data.root))
    own = [(clip.offset or 0, clip.clip_id or "") for clip in clips if clip.shard == name]
    planned = _plan_of(tars, path, [clip for _, clip in sorted(own)], clips)
    if planned and planned.clips:
        try:
            info = write_shard(data, planned)
            say(f"{name}: {error.what}: made anew of its clips, without the erased")
            return info
        except DamagedClip as damaged:
            say(str(damaged))
    remove_files(path)
    if not own:
        say(f"{name}: {error.what}: removed, nobody else was in it")
        return None
    say(
        f"{name}: {error.what}: removed with its {len(own)} other clips, because erased ones may "
        "be in it → `fsh shard` makes it anew"
    )
    return None


def unrecorded_shards(
    data: DataFolder, erased: Tombstones, say: Callable[[str], None] = lambda _: None
) -> Iterator[str]:
    """Shards with erased clips that the table does not name: a kill came before it was written.

    A damaged shard without a note has erased clips if an erased video's id stands anywhere in it.

    Args:
        say: is told of damaged shards that have nothing to do with the erased.
    """
    for path in data.all_shards():
        name = str(path.relative_to(data.root))
        note = ShardNote.read(data.shard_note(path.parent.name, shard_number(path)))
        if note:
            found = any(_is_erased_clip(clip, erased) for clip in note.clips)
        else:
            try:
                clips = {clip_of(one.key) for one in samples_in(_archive(path), path)}
                found = any(_is_erased_clip(clip, erased) for clip in clips)
            except StoreRefused:  # which says nothing about the shard
                raise
            except FshError as error:
                found = mentions_erased(path, erased)
                if not found:
                    say(f"{error}; it names nobody erased and stays as it is")
        if found:
            yield name


def mentions_erased(path: Path, erased: Tombstones) -> bool:
    """Whether the id of an erased video stands anywhere in a file, whatever else is in it."""
    text = content_of(path).decode("latin-1")
    return any(erased.covers(video=video) for video in set(VIDEO_ID.findall(text)))


def _is_erased_clip(clip: str, erased: Tombstones) -> bool:
    return erased.covers(video=video_of(clip))
