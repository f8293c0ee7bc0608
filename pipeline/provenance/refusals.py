"""What the system refuses c2pa: its own errors say that something failed, and not what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast


class _Remembering:
    """A file that remembers the first error of the system's that its user met."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.refused: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._file, name)
        if not callable(method):
            return method

        def call(*arguments: Any) -> Any:
            try:
                return method(*arguments)
            except OSError as error:
                self.refused = self.refused or error
                raise

        return call


@contextmanager
def raising_what_was_refused(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yield ``file`` for a library that hides why it could not write.

    Raises:
        OSError: the first one that was met, such as a full disk, if the block ends in any error.
    """
    remembering = _Remembering(file)
    try:
        yield cast(BinaryIO, remembering)
    except Exception as error:
        if remembering.refused is not None:
            raise remembering.refused from error
        raise
