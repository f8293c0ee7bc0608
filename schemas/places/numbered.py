"""Small things in an object store that several change at once: each version has a number.

A store has no locks, but it lets only one make an object of a name. So a version is an object of
its own, ``NAME.000001``, and who makes the next number has changed it; who comes second reads what
there is now, and tries again.
"""

from __future__ import annotations

import re
from pathlib import Path

from fsh.schemas.places.stores import (
    content_of,
    listing,
    remove_objects,
    store_of,
    write_if_absent,
)


def version_of(path: Path, number: int) -> Path:
    """The object of one version."""
    return path.with_name(f"{path.name}.{number:06d}")


def numbers_of(path: Path) -> dict[str, int]:
    """The objects of all versions that are there, as the store calls them, to their numbers."""
    pattern = re.compile(re.escape(f"{store_of(path)[1]}.") + r"(\d+)")
    names = listing(path.parent, direct=True)
    return {one: int(match[1]) for one in names if (match := pattern.fullmatch(one))}


def latest_of(path: Path) -> tuple[int, bytes | None]:
    """The latest version's number, 0 if there is none, and content; None: it is gone meanwhile."""
    number = max(numbers_of(path).values(), default=0)
    try:
        return number, content_of(version_of(path, number)) if number else None
    except FileNotFoundError:
        return number, None


def make_next(path: Path, number: int, content: bytes, *, keep: int = 0) -> bool:
    """Make the version after one that was the latest, if nobody else has.

    Args:
        content: which nobody else may write: it holds something of this writer's alone.
        keep: versions before the new one that stay at least; up to twice as many may. Who looks
            after more than so many were made cannot know whether its own is one of them, and is
            told that it is not.

    Returns:
        Whether it is the version after ``number``.
    """
    if not write_if_absent(version_of(path, number + 1), content):
        return False
    # The name may have been free because its version is long gone: then later ones are there.
    there = numbers_of(path)
    old = [name for name, one in there.items() if one <= number - keep]
    if len(old) > keep:
        remove_objects(path.parent, old)
    return max(there.values()) <= number + 1 + keep


def remove_versions(path: Path, before: int) -> None:
    """Remove the versions before one; nobody may be about to make any."""
    old = [name for name, number in numbers_of(path).items() if number < before]
    remove_objects(path.parent, old)
