"""Lists as users have them, recognised by their shape: their requests and their malformed lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from fsh.pipeline.ingest import download
from fsh.pipeline.ingest.lists import hdtf, json_lists, tables, texts, vox_tracks
from fsh.pipeline.ingest.lists.columns import column_names, url_column
from fsh.pipeline.ingest.lists.folders import media_files, unread_lists
from fsh.pipeline.ingest.lists.requests import (
    BadLine,
    Listing,
    Request,
    check_range,
    locate,
    parse_time,
)
from fsh.pipeline.media.suffixes import VIDEO_SUFFIXES
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import file_error
from fsh.schemas.places.temporary import scratch_folder
from fsh.schemas.text import readable, shown

_LIST_TYPES = frozenset({"text/csv", "text/tab-separated-values", "text/plain", "application/json"})
#: An entry's number or mark in a list that was written for people, which is nobody's name.
_COUNTED = re.compile(r"[-*•–]|\(?\d+[.):]\)?")
#: Marks that people put around a URL.
_QUOTES = ('""', "''", "``", "<>")


def read_lists(arguments: Iterable[str], proxy: str = "") -> Listing:
    """Everything that the arguments of a command ask for.

    An argument is a list file, a folder, a video file, or the URL of a video, a YouTube channel or
    playlist, or a list.

    Args:
        proxy: URL of a proxy that lists on the net are asked through; empty: the system's.

    Raises:
        FshError: if an argument does not exist, cannot be read, or asks for nothing.
    """
    listing = Listing()
    for argument in arguments:
        found = _read_argument(argument, proxy)
        if not found.requests:
            raise FshError(
                f"nothing to ingest in it: {_what_is_there(found)}",
                where=argument,
                remedy="give a list with a url column, one URL or path per line, a folder, a URL",
            )
        listing.extend(found)
    return listing


def _what_is_there(listing: Listing) -> str:
    """What was found instead of requests."""
    found = [note.split(": ", 1)[-1] for note in listing.notes]
    if bad := listing.bad_lines:
        what = f"{len(bad)} {'line' if len(bad) == 1 else 'lines'} that cannot be understood"
        found.append(f"{what}, such as line {bad[0].line}: {bad[0].why}")
    return "; ".join(found) or "no entries"


def _read_argument(argument: str, proxy: str) -> Listing:
    given, plain = argument, urls.user_path(argument)
    if not urls.exists(plain):
        argument = urls.with_scheme(argument.strip())
        plain = urls.user_path(argument)
    if urls.is_url(argument) and not urls.exists(plain):
        if urls.host_group(argument) != urls.YOUTUBE and _is_list(argument, proxy):
            return _read_remote(argument, proxy)
        return Listing([Request(argument)])
    path = plain.absolute()
    if path.is_dir():
        return _read_folder(path)
    if not urls.exists(path):
        if urls.is_youtube_id(argument):
            return Listing([Request(locate(argument, Path.cwd()))])
        raise FshError(
            "no such file or folder",
            where=given,
            remedy="give a list, a folder, a video or a URL",
        )
    return read_list_file(path, str(path), path.parent)


def read_list_file(path: Path, where: str, base: Path | None) -> Listing:
    """A list, recognised by its content; a file that is no text is itself the video asked for.

    Args:
        path: the file.
        where: what to call it in the ledger and in messages.
        base: the folder that relative paths start from; None if the list came from the net.
    """
    head = texts.head_of(path)
    if head.startswith(b"PAR1"):
        return tables.read_parquet(path, where, base)
    is_own_video = path.suffix.lower() in VIDEO_SUFFIXES and base is not None
    is_set = base is not None and hdtf.set_name_of(path) is not None
    text = None if is_own_video else texts.text_of(path, head)
    if text is None:
        return Listing([Request(where, trusted=base is not None)])
    if is_set:
        return hdtf.read_set(path.parent, hdtf.set_name_of(path) or "")
    if base is not None and (what := _is_no_list(text)):
        raise FshError(f"{what}, not a list", where=path, remedy="give its links one per line")
    return parse_list(text, where, base)


def parse_list(text: str, where: str, base: Path | None) -> Listing:
    """A textual list: JSON, a table, or one entry per line."""
    lines = re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))
    content = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not content:
        return Listing(notes=[f"{shown(where)}: an empty list"])
    if vox_tracks.is_track(text):
        return vox_tracks.read_track(text, where, base)
    stated = tables.stated_delimiter(content[0])
    if stated and len(content) > 1:
        lines[lines.index(content.pop(0))] = ""
    first = content[0].strip()
    if first[0] in "[{" and not (base and urls.exists(base / first)):  # a file's name may, too
        return json_lists.read_json(lines, where, base)
    mark = stated or tables.delimiter_of(first)
    names = column_names(first.split(mark) if mark else [first])
    if url_column(names) or _is_headerless_table(first, mark, base):
        return tables.read_delimited(lines, where, base, mark or ",")
    if mark and _is_table_without_urls(content, mark):
        return Listing(notes=[tables.no_urls_note(where, len(content) - 1, names)])
    return _read_plain(lines, where, base)


def _read_plain(lines: Sequence[str], where: str, base: Path | None) -> Listing:
    """One URL or path per line; ``name URL`` and ``URL start end`` are understood as well."""
    listing = Listing()
    named = [line.split()[0] for line in lines if hdtf.is_name_and_url(line.strip())]
    people = hdtf.identities_of_names(named)
    for number, line in enumerate(lines, 1):
        line = _bare(line.strip(), base)
        if not line or line.startswith("#"):
            continue
        try:
            listing.requests += _plain_requests(line, where, number, base, people)
        except ValueError as error:
            listing.bad_lines.append(BadLine(where, number, str(error)))
    return listing


def _bare(line: str, base: Path | None) -> str:
    """A line without what people put around an entry, unless it is a file's name."""
    bare = line.rstrip(",; ")
    if len(bare) > 1 and bare[0] + bare[-1] in _QUOTES:
        bare = bare[1:-1].strip()
    if bare == line or (base is not None and urls.exists(base / line)):
        return line
    return bare


def _plain_requests(
    line: str, where: str, number: int, base: Path | None, people: dict[str, str]
) -> list[Request]:
    """Raises:
    ValueError: if the line cannot be understood.
    """
    identity, start, end, entry = "", None, None, line
    words = re.sub(r"\s+#.*$", "", line).split()
    if hdtf.is_name_and_url(line):
        identity = "" if _COUNTED.fullmatch(words[0]) else people.get(words[0], words[0])
        entry = words[1]
    elif urls.is_url(urls.with_scheme(line)) and not (base and urls.exists(base / line)):
        entry, *times = words
        if len(times) == 2 and "://" not in line[len(entry) :]:
            start, end = parse_time(times[0]), parse_time(times[1])
            check_range(start, end)
        elif times:
            raise ValueError(f"more than a URL: {line[:120]!r}")
    url = locate(entry, base)
    if base is not None and not urls.is_url(url) and Path(url).is_dir():
        if found := media_files(Path(url)):
            return [Request(str(path), where, number) for path in found]
        raise ValueError(f"a folder without videos: {entry[:120]!r}")
    name = readable(identity)
    return [Request(url, where, number, start, end, identity=name, trusted=base is not None)]


def _read_folder(folder: Path) -> Listing:
    """A folder's videos; if it has none, the lists in it, HDTF's sets and VoxCeleb's tree too."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if videos := media_files(folder):
        found = [Request(str(path), str(folder), i) for i, path in enumerate(videos, 1)]
        return Listing(found, notes=unread_lists(folder, files, videos))
    listing = Listing()
    sets = sorted({name for path in files if (name := hdtf.set_name_of(path)) is not None})
    for name in sets:
        listing.extend(hdtf.read_set(folder, name))
    for path in files:
        if texts.list_suffix(path.name) in texts.SUFFIXES and hdtf.set_name_of(path) is None:
            listing.extend(read_list_file(path, str(path), folder))
    if not listing.requests:
        listing.extend(_read_tracks(folder))
    if not listing.requests and not listing.notes and not listing.bad_lines:
        raise FshError("no videos and no lists in this folder", where=folder)
    return listing


def _read_tracks(folder: Path) -> Listing:
    """VoxCeleb's tracks, however deep they lie; other texts down there are left out."""
    listing = Listing()
    for path in vox_tracks.track_files(folder):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise file_error(error, path) from None
        if vox_tracks.is_track(text):
            listing.extend(vox_tracks.read_track(text, str(path), folder))
    return listing


def _read_remote(url: str, proxy: str) -> Listing:
    """A list fetched off the net: its local paths and private addresses are refused later."""
    with scratch_folder("list") as folder:
        path = folder / "list"
        download.download_list(url, path, proxy)
        return read_list_file(path, url, None)


def _is_list(url: str, proxy: str) -> bool:
    """Whether a URL leads to a list: by its ending, else by the type that the host states."""
    suffix = texts.list_suffix(re.sub(r"[?#].*", "", url))
    if suffix in texts.SUFFIXES or suffix in VIDEO_SUFFIXES:
        return suffix in texts.SUFFIXES
    return download.content_type(url, proxy) in _LIST_TYPES


def _is_no_list(text: str) -> str:
    """What a text is that names videos, perhaps, but is no list; empty if it may be one."""
    begin = text[:200].lstrip().lower()
    return "a web page" if begin.startswith(("<!doctype html", "<html")) else ""


def _is_headerless_table(first: str, mark: str, base: Path | None) -> bool:
    """Whether a delimited first line already is ``url, start, end …`` or ``url, identity``."""
    cells = [cell.strip().strip('"') for cell in first.split(mark)] if mark else []
    if len(cells) < 2 or not cells[1] or "/" in cells[1]:
        return False
    if tables.is_id(cells[0]):
        return tables.are_times(cells[1:3]) and not (base and urls.exists(base / first))
    if urls.is_url(urls.with_scheme(cells[0])):
        return not any(re.match(r"[\w%.-]*[=&/]", cell) for cell in cells[1:])
    return base is not None and Path(cells[0]).suffix.lower() in VIDEO_SUFFIXES


def _is_table_without_urls(lines: Sequence[str], mark: str) -> bool:
    """Whether lines have as many columns as their header and no URL or file name among them."""
    sample = [line.split(mark) for line in lines[:50]]
    if len({len(cells) for cells in sample}) != 1:
        return False
    cells = [cell.strip() for row in sample for cell in row]
    return not any(
        "://" in cell or "/" in cell or Path(cell).suffix.lower() in VIDEO_SUFFIXES
        for cell in cells
    )
