"""Which clip lies in which shard.

A clip's shard is decided by a hash of its name, so it does not depend on who finished first, and
one more video touches only the shards it falls into. The number of shards is a power of two: it
changes rarely, and when it doubles, shards divide in two.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fsh.schemas.errors import FshError
from fsh.schemas.ids import digest, stable_hash
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import content_of, remove_folder
from fsh.schemas.places.temporary import replacing

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


class StoredPlan(NamedTuple):
    """Which plan is meant, for a worker, who reads it where it is stored.

    The plans of a million clips are too much to be handed over by an engine, which keeps them
    several times.

    Attributes:
        split, number, digest: of the plan.
    """

    split: str
    number: int
    digest: str

    def read(self, data: DataFolder, patience: float = 0.0) -> ShardPlan:
        """The plan.

        Args:
            patience: seconds after which it must be seen here.

        Raises:
            FshError: if it is not there then, or there is another one.
        """
        path = data.shard_plan(self.split, self.number)
        until = time.monotonic() + patience
        while (plan := self._found(path)) is None:
            if time.monotonic() >= until:
                raise FshError(
                    "this is not the plan that the command stored",
                    where=path,
                    remedy="every worker must see the data folder as the command does; run again",
                )
            time.sleep(0.2)
        return plan

    def _found(self, path: Path) -> ShardPlan | None:
        try:
            clips = json.loads(content_of(path))
            plan = ShardPlan(self.split, self.number, tuple(ShardClip(*clip) for clip in clips))
        except (OSError, ValueError, TypeError):
            return None
        return plan if plan.digest == self.digest else None


@contextmanager
def stored(data: DataFolder, plans: Iterable[ShardPlan]) -> Iterator[list[StoredPlan]]:
    """Plans where workers can read them, for as long as the block lasts."""
    found = []
    try:
        for plan in plans:
            with replacing(data.shard_plan(plan.split, plan.number)) as temporary:
                temporary.write_text(json.dumps(plan.clips))
            found.append(StoredPlan(plan.split, plan.number, plan.digest))
        yield found
    finally:
        remove_folder(data.shard_plans)


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
