"""Which clip lies in which shard, and the writing of shards: plain functions and plain files.

A clip's shard is decided by a hash of its name, so it does not depend on who finished first, and
one more video touches only the shards it falls into. The number of shards is a power of two: it
changes rarely, and when it doubles, shards divide in two.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fsh.pipeline.dataset.config import digest
from fsh.schemas.card import ShardInfo
from fsh.schemas.ids import stable_hash
from fsh.schemas.layout import DataFolder, replacing
from fsh.schemas.sample import SampleInfo
from fsh.schemas.tar import write_members

#: A small data set still gets this many train shards, one for each of a trainer's readers …
_WANTED = 8
#: … as long as they hold this many bytes.
_SMALLEST = 2 * 2**20


class Entry(NamedTuple):
    """A clip on its way into a shard.

    Attributes:
        clip_id: of the clip.
        identity: who it is.
        tar: the clip's own tar, below the data folder.
        bytes: size of that tar.
    """

    clip_id: str
    identity: str
    tar: str
    bytes: int


@dataclass(frozen=True)
class ShardPlan:
    """A shard to be: its split, its number and its clips in their order."""

    split: str
    number: int
    clips: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        """Changes when a byte of the shard would: a clip's folder is named by its settings."""
        return digest([list(map(list, self.clips)), self.split, self.number])


def shard_count(sizes: Sequence[int], keys: Sequence[int], target: int) -> int:
    """How many shards to make of clips of these sizes, a power of two; none of them is empty.

    Args:
        sizes: bytes of each clip.
        keys: 64-bit hash of each clip.
        target: largest bytes of a shard, on average.
    """
    total, count = sum(sizes), 1
    while total > count * target or (count < _WANTED and total >= 2 * count * _SMALLEST):
        count *= 2
    while count > 1 and len({key % count for key in keys}) < count:
        count //= 2
    return count


def plan(split: str, clips: Iterable[Entry], target: int, least: int = 1) -> list[ShardPlan]:
    """The shards of one split. Clips lie in the order of their hashes: shuffled, but always so.

    Args:
        least: number of shards that an erasure holds; those it emptied are left out.
    """
    keyed = sorted((stable_hash(clip.clip_id, "shard"), clip) for clip in clips)
    if not keyed:
        return []
    count = shard_count([clip.bytes for _, clip in keyed], [key for key, _ in keyed], target)
    count = max(count, least)
    parts = [tuple(clip for key, clip in keyed if key % count == n) for n in range(count)]
    return [ShardPlan(split, number, part) for number, part in enumerate(parts) if part]


def note_path(data: DataFolder, split: str, number: int) -> Path:
    """What is known of a written shard: its plan's digest, its checksum, where its clips lie."""
    return data.work / "shards" / f"{data.shard(split, number).stem}.json"


def write_shard(data: DataFolder, shard: ShardPlan) -> ShardInfo:
    """Write a shard, unless it is there already as planned; returns what it holds."""
    path = data.shard(shard.split, shard.number)
    note = note_path(data, shard.split, shard.number)
    if (known := _read_note(note)) and known["plan"] == shard.digest and path.is_file():
        info = ShardInfo(**known["info"])
        if path.stat().st_size == info.bytes:
            return info
    samples = frames = 0
    places: dict[str, tuple[int, int]] = {}
    note.unlink(missing_ok=True)  # from here on, until the new one is written, nothing is known
    with replacing(path) as temporary, temporary.open("wb") as file:
        for clip in shard.clips:
            begin = file.tell()
            for name, content in clip_members(data.root / clip.tar, clip.identity):
                samples += name.endswith(".json")
                frames += name.endswith(".jpg")
                write_members(file, [(name, content)], end=False)
            places[clip.clip_id] = (begin, file.tell() - begin)
        write_members(file, [], end=True)
    with path.open("rb") as written:
        checksum = hashlib.file_digest(written, "sha256").hexdigest()
    info = ShardInfo(
        path=str(path.relative_to(data.root)),
        split=shard.split,
        samples=samples,
        frames=frames,
        bytes=path.stat().st_size,
        sha256=checksum,
    )
    write_note(note, shard.digest, info, places)
    return info


def write_note(
    note: Path, plan: str, info: ShardInfo, places: Mapping[str, tuple[int, int]]
) -> None:
    """Remember what a written shard holds: the plan's digest, and each clip's offset and bytes."""
    with replacing(note) as temporary:
        known = {"plan": plan, "info": asdict(info), "clips": places}
        temporary.write_text(json.dumps(known, sort_keys=True))


def clip_members(tar: Path, identity: str) -> Iterable[tuple[str, bytes]]:
    """The members of a clip's own tar, with the identity filled in."""
    with tarfile.open(tar) as archive:
        for member in archive:
            reader = archive.extractfile(member)
            assert reader is not None, member.name
            content = reader.read()
            if member.name.endswith(".json"):
                content = replace(SampleInfo.from_json(content), identity=identity).to_json()
            yield member.name, content


def places_in(data: DataFolder, info: ShardInfo) -> dict[str, tuple[int, int]]:
    """Offset and bytes of every clip in a written shard."""
    note = _read_note(data.work / "shards" / f"{Path(info.path).stem}.json")
    return {clip: (place[0], place[1]) for clip, place in (note or {}).get("clips", {}).items()}


def remove_stale(data: DataFolder, shards: Iterable[ShardInfo]) -> None:
    """Delete shards, and what is noted of them, that are no longer part of the data set.

    Half-written ones of a killed run go too.
    """
    current = {data.root / shard.path for shard in shards}
    for path in [*data.shards.glob("*/fsh-*.tar"), *data.shards.glob("*/.fsh-*.tmp")]:
        if path not in current:
            path.unlink()
    names = {path.stem for path in current}
    for path in (data.work / "shards").glob("fsh-*.json"):
        if path.stem not in names:
            path.unlink()


def _read_note(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def counts_of(rows: Sequence[Mapping[str, Any]], infos: Iterable[ShardInfo]) -> dict[str, int]:
    """What the data set's card counts, from the clips table's rows and the shards."""
    kept, infos = [row for row in rows if row["kept"]], list(infos)
    return {
        "videos": len({row["video_id"] for row in rows}),
        "clips": len(kept),
        "identities": len({row["identity"] for row in kept}),
        "samples": sum(info.samples for info in infos),
        "frames": sum(info.frames for info in infos),
        "rejected": len(rows) - len(kept),
    }
