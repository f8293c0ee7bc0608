"""Which clip lies in which shard, and the writing of shards: plain functions and plain files.

A clip's shard is decided by a hash of its name, so it does not depend on who finished first, and
one more video touches only the shards it falls into. The number of shards is a power of two: it
changes rarely, and when it doubles, shards divide in two.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from fsh.schemas.errors import FshError
from fsh.schemas.ids import digest, file_sha256, stable_hash
from fsh.schemas.places.layout import DataFolder, shard_number
from fsh.schemas.places.stores import (
    StoreRefused,
    content_of,
    file_size,
    is_remote,
    persistently,
    read_object,
)
from fsh.schemas.places.temporary import TEMPORARY, replacing
from fsh.schemas.shards.card import ShardInfo
from fsh.schemas.shards.sample import INFO, StoredSample, samples_in
from fsh.schemas.shards.tar import open_archive, write_members

#: A small data set still gets this many train shards, one for each of a trainer's readers …
_MIN_SHARDS = 8
#: … as long as they hold this many bytes.
_MIN_BYTES = 2 * 2**20


class ShardClip(NamedTuple):
    """A clip on its way into a shard.

    Attributes:
        clip_id: of the clip.
        identity: who it is.
        tar: the clip's own tar, below the data folder.
        bytes: size of that tar.
        samples: in that tar; None: not known.
    """

    clip_id: str
    identity: str
    tar: str
    bytes: int
    samples: int | None = None


@dataclass(frozen=True)
class ShardPlan:
    """A shard to be: its split, its number and its clips in their order."""

    split: str
    number: int
    clips: tuple[ShardClip, ...]

    @property
    def digest(self) -> str:
        """Changes when a byte of the shard would: a clip's folder is named by its settings."""
        clips = [[clip.clip_id, clip.identity, clip.tar, clip.bytes] for clip in self.clips]
        return digest([clips, self.split, self.number])


@dataclass(frozen=True)
class ShardNote:
    """What is known of a written shard (:meth:`fsh.schemas.places.layout.DataFolder.shard_note`).

    Attributes:
        plan: digest of the plan it was written by.
        info: for the data set's card.
        clips: clip id to the offset and the bytes of its members in the shard.
    """

    plan: str
    info: ShardInfo
    clips: Mapping[str, tuple[int, int]]

    @classmethod
    def read(cls, path: Path) -> ShardNote | None:
        """None if there is no note, or nothing that can be read as one."""
        try:
            found = json.loads(content_of(path))
            clips = {clip: (begin, size) for clip, (begin, size) in found["clips"].items()}
            return cls(found["plan"], ShardInfo(**found["info"]), clips)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), sort_keys=True))


def note_of(data: DataFolder, shard: ShardInfo) -> ShardNote | None:
    """The note of a written shard; None if there is none."""
    return ShardNote.read(data.shard_note(shard.split, shard_number(shard.path)))


def shard_count(sizes: Sequence[int], keys: Sequence[int], target: int) -> int:
    """How many shards to make of clips of these sizes, a power of two; none of them is empty.

    Args:
        sizes: bytes of each clip.
        keys: 64-bit hash of each clip.
        target: largest bytes of a shard, on average.
    """
    total, count = sum(sizes), 1
    while total > count * target or (count < _MIN_SHARDS and total >= 2 * count * _MIN_BYTES):
        count *= 2
    while count > 1 and len({key % count for key in keys}) < count:
        count //= 2
    return count


def plan_shards(
    split: str, clips: Iterable[ShardClip], target: int, least: int = 1
) -> list[ShardPlan]:
    """The shards of one split. Clips lie in the order of their hashes: shuffled, but always so.

    Args:
        target: largest bytes of a shard, on average.
        least: number of shards that an erasure pinned; those it emptied are left out.
    """
    keyed = sorted((stable_hash(clip.clip_id, "shard"), clip) for clip in clips)
    if not keyed:
        return []
    count = shard_count([clip.bytes for _, clip in keyed], [key for key, _ in keyed], target)
    count = max(count, least)
    parts: list[list[ShardClip]] = [[] for _ in range(count)]
    for key, clip in keyed:
        parts[key % count].append(clip)
    return [ShardPlan(split, number, tuple(part)) for number, part in enumerate(parts) if part]


def is_as_noted(data: DataFolder, note: ShardNote) -> bool:
    """Whether a shard still is what was written when its note was.

    Its size is always compared, its SHA-256 only if the file has changed since the note was
    written: then its ctime is the later one, whatever was done to its mtime. A shard that turns out
    to be the same, such as one that was copied, is not hashed again.
    """
    path = data.root / note.info.path
    note_path = data.shard_note(note.info.split, shard_number(note.info.path))
    try:
        if file_size(path) != note.info.bytes:
            return False
        if _is_older(path, note_path):
            return True
        if file_sha256(path) != note.info.sha256:
            return False
    except OSError:  # the disk cannot read it any more
        return False
    if is_remote(note_path):
        note.write(note_path)
        return True
    with contextlib.suppress(OSError):  # of another user, or on a read-only disk
        os.utime(note_path)
    return True


def _is_older(shard: Path, note: Path) -> bool:
    """Whether a shard was last written before its note was; a store's times are whole seconds."""
    if is_remote(shard):
        return persistently(lambda: shard.stat().st_mtime <= note.stat().st_mtime, shard)
    return shard.stat().st_ctime_ns < note.stat().st_mtime_ns


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


def written_as_planned(data: DataFolder, plan: ShardPlan) -> ShardInfo | None:
    """What a shard holds, if it is there already as planned."""
    note = ShardNote.read(data.shard_note(plan.split, plan.number))
    if note and note.plan == plan.digest and is_as_noted(data, note):
        return note.info
    return None


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
