"""A fetched file gets its final name: at once, and durably."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

#: Room that is left alone, so that the ledger can still be written.
RESERVE = 32 * 2**20


def place(source: Path, final: Path, *, copy: bool, local: bool) -> None:
    """Give a file its final name at once: moved, copied, or linked to.

    A local file is linked unless copied; a link never takes the place of a file with the same
    content.
    """
    if local and not copy:
        if final.is_file() and not final.is_symlink():
            return
        with tempfile.TemporaryDirectory(dir=final.parent / ".incoming") as folder:
            link = Path(folder, "link")
            link.symlink_to(source.absolute())
            link.replace(final)
        return
    if local:
        with tempfile.TemporaryDirectory(dir=final.parent / ".incoming") as folder:
            copied = Path(folder, "copy")
            shutil.copyfile(source, copied)
            _settle(copied, final)
        return
    _settle(source, final)


def _settle(source: Path, final: Path) -> None:
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.chmod(0o644)
    source.replace(final)
    directory = os.open(final.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
