"""What is known of written shards, and whether they still are what was written."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fsh.pipeline.dataset.shards.plans import ShardPlan
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.layout import DataFolder, shard_number
from fsh.schemas.places.stores import content_of, file_size, is_remote, persistently
from fsh.schemas.places.temporary import replacing
from fsh.schemas.shards.card import ShardInfo


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


def written_as_planned(data: DataFolder, plan: ShardPlan) -> ShardInfo | None:
    """What a shard holds, if it is there already as planned."""
    note = ShardNote.read(data.shard_note(plan.split, plan.number))
    if note and note.plan == plan.digest and is_as_noted(data, note):
        return note.info
    return None


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
