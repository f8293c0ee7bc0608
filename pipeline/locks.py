"""One command at a time works in a data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fsh.schemas.places.disk import explaining_refusals
from fsh.schemas.places.layout import SPLITS, DataFolder
from fsh.schemas.places.locks import owning
from fsh.schemas.places.stores import is_remote
from fsh.schemas.places.temporary import remove_abandoned, remove_scratch


@contextmanager
def locked(
    data: DataFolder,
    command: str = "ingest",
    *,
    by: str = "",
    part: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Hold a data folder's lock for a command; what dead processes left there is removed, and, at
    the end, what they left in the system's temporary folder.

    Args:
        command: ``ingest`` or ``shard``; the two have locks of their own.
        by: the command that holds it, if it is another one.
        part: such as ``3/40``: a part, which other parts may be beside.
        say: is told, in a line, if it takes a while.

    Raises:
        FshError: if another process holds it, or the folder cannot be written.
    """
    remedy = "wait for it, or give another --data"
    name = f"{command} --part {part}" if part else by or command
    lock, shared = data.lock(command), bool(part)
    try:
        with owning(lock, name, where=data.root, remedy=remedy, shared=shared, say=say):
            if not is_remote(data.root):  # a store has no halves of objects
                shards = [data.shards / split for split in SPLITS]
                places = (data.records, data.work, data.shard_notes, data.clips.parent, *shards)
                remove_abandoned(data.root, *places)
            with explaining_refusals(data.root):
                yield
    finally:
        remove_scratch()  # of one that was killed when nothing but its end was left to do
