"""Where a command may write: never over an input, never over what is not its own.

Every command asks before it works. A folder is replaced only if it holds exactly what the command
made (:mod:`fsh.schemas.places.folder_kinds`), a file only if fsh wrote it. Paths are compared
resolved and by inode: a link, a hard link or another spelling of an input is the input.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import CannotBeWritten, explaining_refusals
from fsh.schemas.places.folder_kinds import PERSON, FolderKind, require_own_names
from fsh.schemas.places.layout import DataFolder, output_lock
from fsh.schemas.places.locks import owning
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.places.stores import is_remote
from fsh.schemas.places.temporary import remove_abandoned, remove_scratch

Inputs = Iterable[str | Path | None]
#: What fsh writes into the metadata of a video that bears no manifest.
MADE_BY_FSH = "made by fsh"
#: Suffix to what one of fsh's files holds, any of them: a manifest's label, a page's title …
_SIGNS: dict[str, tuple[bytes, ...]] = {
    **dict.fromkeys((".html", ".htm"), (b"<title>fsh: ",)),
    ".npz": (b"landmarks.npy",),
    ".npy": (b", 68, 2)",),
}
_MEDIA_SIGNS = (b"fsh.rendering", MADE_BY_FSH.encode())
#: Formats that keep no metadata: a file of that format may be an older film.
_MAGIC = {".gif": b"GIF8"}


def require_free_file(path: Path, inputs: Inputs = (), what: str = "file") -> None:
    """Check that a file may be written, before any work.

    Args:
        inputs: files and folders that the command reads; those that are no paths are passed over.
        what: the output, for messages.

    Raises:
        FshError: if it is an input, a folder or no regular file; if it is there and not fsh's own;
            if the place cannot be written.
    """
    _require_name(path)
    require_not_input(path, inputs)
    if _is_folder(path) or not path.name or path.name == "..":
        raise FshError(
            f"is a folder, and a {what} is to be written", where=path, remedy="name a file in it"
        )
    require_writable(path)
    try:
        known = path.stat()
    except OSError:  # nothing there, or a link to nothing
        return
    if not stat.S_ISREG(known.st_mode):
        raise FshError("is no regular file", where=path, remedy="name another one")
    if known.st_size and not _is_own_file(path):
        raise FshError(
            f"is there already, and is no {what} of fsh's",
            where=path,
            remedy="name another one, or move this one away",
        )


def require_own_folder(folder: Path, kind: FolderKind, inputs: Inputs = ()) -> None:
    """Check that a folder may be written or replaced, before any work.

    Args:
        inputs: files and folders that the command reads.

    Raises:
        FshError: if it is an input, or holds one and would be replaced; if it holds anything that
            the command did not make; if the place cannot be written.
    """
    _require_name(folder)
    named = [one for one in inputs if isinstance(one, str | os.PathLike)]
    require_not_input(folder, named)
    if os.path.lexists(folder) and not _is_folder(folder):
        raise FshError(
            f"is a file, and {kind.what} is to be written", where=folder, remedy="name a folder"
        )
    if kind.replaced:
        _require_replaceable(folder, named)
    is_there = _is_folder(folder)
    require_writable(folder / "x" if is_there and not kind.replaced else folder)
    if not is_there:
        return
    if kind.is_marked(folder):
        foreign = next(kind.foreign(folder, kind.made), None) if kind.replaced else None
        remedy = "move it away, or name another folder"
    else:
        foreign = next(kind.foreign(folder, kind.unfinished), None)
        remedy = "name a new folder, or one that this command made"
    if foreign is not None:
        raise FshError(
            f"holds {foreign}, and so is not {kind.what} as fsh made it: left as it is",
            where=folder,
            remedy=remedy,
        )


def require_outside_persons(folder: Path) -> None:
    """Check that a new folder does not come to lie in a person's, which holds nothing else.

    Raises:
        FshError: if it would.
    """
    for parent in folder.resolve().parents:
        if PERSON.is_marked(parent):
            raise FshError(
                "lies in a person's folder", where=folder, remedy=f"name one outside {parent}"
            )


def require_data_folder(data: DataFolder) -> None:
    """Check that ``fsh ingest`` may write a data set here.

    Raises:
        FshError: if it is a file; if names that fsh uses are taken by something else; if it cannot
            be written.
    """
    root = data.root
    if is_remote(root):
        require_own_names(data)
        return
    if os.path.lexists(root) and not _is_folder(root):
        raise FshError("cannot be written: it is a file", where=root, remedy="name a folder")
    require_writable(root / "x")
    if root.is_dir():
        require_own_names(data)


def require_writable(path: Path) -> None:
    """Check that something can be made at this path; makes nothing.

    Raises:
        FshError: naming the place that cannot be written, or the name that no disk takes.
    """
    _require_name(path)
    for place in path.absolute().parents:
        if not os.path.lexists(place):
            continue
        if not _is_folder(place):
            why = "it leads nowhere" if place.is_symlink() else "it is a file"
            raise CannotBeWritten(place, why)
        if not os.access(place, os.W_OK | os.X_OK):
            raise CannotBeWritten(place, "no permission, or mounted read-only")
        return


@contextmanager
def owned_output(path: Path, command: str) -> Iterator[None]:
    """Be the one who writes a file or folder: a second process is told who does, since when.

    What dead processes left beside it is removed, in it if it is a folder, and, at the end, in the
    system's temporary folder. A full disk is told in one line.

    Raises:
        FshError: if another process is at it, or the place cannot be written.
    """
    place = path.resolve() if _is_folder(path) else path.parent.resolve() / path.name
    missing = [parent for parent in place.parents if not parent.exists()]
    remedy = "wait for it, or name another output"
    try:
        with owning(output_lock(place), command, where=path, remedy=remedy):
            remove_abandoned(place.parent)
            if place.is_dir():
                remove_abandoned(*(Path(below) for below, _, _ in os.walk(place)))
            with explaining_refusals(path):
                yield
    finally:
        _leave(missing)


@contextmanager
def owned_run(run: RunFolder) -> Iterator[None]:
    """Be the one who trains in a run's folder, as :func:`owned_output`.

    Raises:
        FshError: if another process trains there, or the folder cannot be written.
    """
    remedy = "wait for it, stop it, or name another --run"
    missing = [folder for folder in (run.root, *run.root.parents) if not folder.exists()]
    try:
        with owning(run.lock, "train", where=run.root, remedy=remedy):
            remove_abandoned(run.root, run.checkpoints, run.samples, run.pictures)
            with explaining_refusals(run.root):
                yield
    finally:
        _leave(missing)


def _leave(folders: Iterable[Path]) -> None:
    """Remove folders made for the lock alone, and what dead processes left as scratch."""
    remove_scratch()
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def owned_outputs(paths: Iterable[Path], command: str) -> Iterator[None]:
    """:func:`owned_output` for several, all taken before the work."""
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(owned_output(path, command))
        yield


def require_different(outputs: Iterable[Path | None]) -> None:
    """Check that no two outputs of a command are the same file.

    Raises:
        FshError: naming the one.
    """
    seen: set[Path] = set()
    for path in filter(None, outputs):
        place = path.parent.resolve() / path.name
        if place in seen:
            raise FshError("is to be written twice", where=path, remedy="name different files")
        seen.add(place)


def _require_name(path: Path) -> None:
    if "\0" in str(path) or any(len(os.fsencode(part)) > 255 for part in path.parts):
        raise FshError("no disk takes this name", where=path, remedy="use a shorter one")
    try:
        path.resolve()
    except (OSError, RuntimeError):
        raise FshError("links in it lead in a circle", where=path, remedy="name another") from None


def require_not_input(output: Path, inputs: Inputs) -> None:
    for one in inputs:
        if one is not None and _same(output, Path(one)):
            raise FshError(
                "is read by this command, and would be written over",
                where=output,
                remedy="name another output",
            )


def _require_replaceable(folder: Path, inputs: Iterable[str | Path | None]) -> None:
    """Refuse places that nobody means to be replaced, and those that hold an input."""
    remedy = "name a new folder"
    if not _is_folder(folder):
        return
    for one in inputs:
        if one is not None and os.path.lexists(one) and _is_inside(Path(one), folder):
            raise FshError(f"holds {one}, which this command reads", where=folder, remedy=remedy)
    for place, what in ((Path.cwd(), "the folder you are in"), (Path.home(), "your home folder")):
        if _same(place, folder) or _is_inside(place, folder):
            raise FshError(f"is or holds {what}: not replaced", where=folder, remedy=remedy)
    if os.path.ismount(folder):
        raise FshError("is a disk of its own: not replaced", where=folder, remedy=remedy)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, by whatever links and spellings."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:  # not there, or nobody may look
        return False


def _is_inside(inner: Path, folder: Path) -> bool:
    """Whether a path, or what it leads to, lies below a folder."""
    lies = set(inner.absolute().parents)
    with suppress(OSError, RuntimeError):  # links in a circle
        lies |= set(inner.resolve().parents)
    return any(_same(parent, folder) for parent in lies)


def _is_own_file(path: Path) -> bool:
    """Whether a file that is there was written by fsh, as far as its format lets it know."""
    suffix = path.suffix.lower()
    signs = _SIGNS.get(suffix, _MEDIA_SIGNS)
    try:
        with path.open("rb") as file:
            if magic := _MAGIC.get(suffix):
                return file.read(len(magic)) == magic
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return any(content.find(sign) >= 0 for sign in signs)
    except (OSError, ValueError):
        return False
