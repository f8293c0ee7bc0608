"""A fetched file gets its final name: in one step, and so that it survives a power cut.

In a store it is uploaded whole, which is one step there.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import file_error
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import file_size, is_remote, upload
from fsh.schemas.places.temporary import temporary_folder

#: What file systems without links answer.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
#: Bytes of the disk that are left free, so that the ledger can still be written.
RESERVED_BYTES = 32 * 2**20


def store_video(
    source: Path, name: str, data: DataFolder, *, copy: bool, local: bool, of_content: bool
) -> Path:
    """Put a file among the videos: moved there, or if it is a local file, linked to or copied.

    A store gets a copy in any case, unless it has it already.
    A link never takes the place of a file of the same name, whose content is the same.

    Args:
        source: the file; one that is not local lies in ``data.incoming`` and is moved.
        name: its name among the videos.
        copy: copy local files instead of linking to them.
        local: whether it is a file of the user's.
        of_content: whether the name says what is in it.

    Returns:
        Where it is now.
    """
    final = data.videos / name
    if is_remote(final):
        if not of_content or file_size(final) != source.stat().st_size:
            upload(source, final)
        return final
    if not local:
        _move_durably(source, final)
        return final
    stored = final.is_file() and not final.is_symlink()
    if not copy and (stored or _is_same(source, final)):  # a link to itself would lead nowhere
        return final
    with temporary_folder(data.incoming / "link") as folder:
        if copy:
            copied = folder / "copy"
            shutil.copyfile(source, copied)
            _move_durably(copied, final)
        else:
            link = folder / "link"
            link.symlink_to(source.absolute())
            link.replace(final)
    return final


def require_links(data: DataFolder) -> None:
    """Check that local files can be linked to from a data folder.

    Raises:
        FshError: if its file system has no links, as those of memory cards and sticks.
    """
    with temporary_folder(data.incoming / "link") as folder:
        try:
            (folder / "link").symlink_to(folder)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise file_error(error, data.root) from error
            raise FshError(
                f"its file system has no links ({error.strerror})",
                where=data.root,
                remedy="add --copy, or name a --data on another disk",
            ) from error


def _is_same(source: Path, final: Path) -> bool:
    return final.exists() and source.samefile(final)


def _move_durably(source: Path, final: Path) -> None:
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.chmod(0o644)
    source.replace(final)
    directory = os.open(final.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
