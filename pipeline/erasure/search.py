"""Whether anything of the erased is left: a search of the whole data folder that trusts no table.

It reads every file: names, links, Parquet columns, tar members, texts, and the content of videos.
It looks for the names that it is given, and for whatever the tombstones cover.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fsh.pipeline.erasure.plan import VIDEO_ID, content_hashes_of, names_of, require_there
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.ids import content_id
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import (
    StoreRefused,
    content_of,
    file_size,
    files_below,
    is_remote,
    read_object,
    size_and_sha256,
)
from fsh.schemas.shards.sample import INFO, samples_in
from fsh.schemas.shards.tar import open_archive
from fsh.schemas.text import json_line, stored_text

#: Bytes of the largest file that is read as a text whatever it is.
_LARGEST_TEXT = 2**28


class Remnant(NamedTuple):
    """A place where something is left: a path below the data folder, and what is there."""

    where: str
    what: str


@dataclass(frozen=True)
class SearchTerms:
    """What to look for.

    Attributes:
        names: ids, URLs, paths and hashes: found inside any text.
        words: labels of people: found as a whole word only.
        contents: hex SHA-256 of files.
        erased: whatever these cover is looked for as well.
    """

    names: frozenset[str]
    words: frozenset[str]
    contents: frozenset[str]
    erased: Tombstones

    @classmethod
    def of_targets(cls, targets: Iterable[str], erased: Tombstones) -> SearchTerms:
        """Every name that the targets of an erasure may have here."""
        names, words, contents = set[str](), set[str](), set[str]()
        for target in targets:
            contents |= content_hashes_of(target)
            unambiguous = {name for name in names_of(target) if _is_unambiguous(name)}
            names |= unambiguous
            if target not in unambiguous:
                words.add(target)
        names |= contents | {content_id(sha) for sha in contents}
        return cls(frozenset(names), frozenset(words), frozenset(contents), erased)

    def in_text(self, text: str) -> list[str]:
        """The terms that are in a text."""
        found = [name for name in self.names if name in text]
        for word in self.words:
            if word in text and re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text):
                found.append(word)
        erased = {v for v in set(VIDEO_ID.findall(text)) if self.erased.covers(video=v)}
        return sorted({*found, *erased})

    def in_value(self, column: str, value: str) -> list[str]:
        """The terms that are in a table's value; a label must be the whole value."""
        value = stored_text(value)
        found = [name for name in self.names if name in value]
        found += [word for word in self.words if word == value]
        if column == "labels":
            found += [word for word in self.words if json_line({"": word})[5:-1] in value]
        kinds = {"video_id": "video", "sha256": "sha256", "identity": "identity"}
        if column == "url" and self.erased.covers(key=urls.source_key(value)):
            found.append("an erased source")
        elif column in kinds and self.erased.covers(**{kinds[column]: value}):
            found.append(f"an erased {column}")
        return found


def find_remnants(data: DataFolder, targets: Sequence[str]) -> list[Remnant]:
    """Every place that still holds a target, or anything else that was ever erased here.

    Raises:
        FshError: if there is no such folder.
    """
    require_there(data)
    terms, remote = SearchTerms.of_targets(targets, Tombstones.read(data)), is_remote(data.root)
    return [
        Remnant(str(path.relative_to(data.root)), what)
        for path in sorted(files_below(data.root) if remote else data.root.rglob("*"))
        for what in sorted(set(_in_path(data, path, terms)))
    ]


def _in_path(data: DataFolder, path: Path, terms: SearchTerms) -> Iterator[str]:
    for name in terms.in_text(path.name):
        yield f"name: {name}"
    if not is_remote(path) and path.is_symlink():
        for name in terms.in_text(str(path.readlink())):
            yield f"link: {name}"
    if not is_remote(path) and not path.is_file():
        return
    if path.is_relative_to(data.videos):
        yield from _in_content(path, terms)
    elif path.suffix == ".parquet":
        yield from _in_table(path, terms)
    elif path.suffix == ".tar":
        yield from _in_tar(path, terms)
    elif (file_size(path) or 0) <= _LARGEST_TEXT:
        for name in terms.in_text(content_of(path).decode("utf-8", "replace")):
            yield f"text: {name}"


def _in_content(path: Path, terms: SearchTerms) -> Iterator[str]:
    sha256 = size_and_sha256(path)[1]
    same = sha256 in terms.contents or content_id(sha256) in terms.names
    if same or terms.erased.covers(sha256=sha256):
        yield f"content: {sha256}"


def _in_table(path: Path, terms: SearchTerms) -> Iterator[str]:
    try:
        content = content_of(path)
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError) as error:  # a store's refusal is none of these
        yield f"cannot be read, so not searched: {error}"
        return
    for column in table.schema.names:
        if not pa.types.is_string(table.schema.field(column).type):
            continue
        for value in table[column].unique().to_pylist():
            for name in terms.in_value(column, value or ""):
                yield f"column {column}: {name}"
    # Statistics and metadata in the file's footer are not compressed.
    for name in terms.in_text(content.decode("utf-8", "replace")):
        yield f"footer: {name}"


def _in_tar(path: Path, terms: SearchTerms) -> Iterator[str]:
    """A shard, or the tar of one clip, which has no end blocks."""
    try:
        archive = read_object(path) if is_remote(path) else open_archive(path)
        for sample in samples_in(archive, path, closed=False):
            for extension in sample.places:
                for name in terms.in_text(f"{sample.key}.{extension}"):
                    yield f"member: {name}"
            if INFO not in sample.places:
                continue
            info = sample.info
            columns = {
                "clip_id": info.clip_id,
                "video_id": info.video_id,
                "identity": info.identity,
            }
            for column, value in columns.items():
                for name in terms.in_value(column, value):
                    yield f"sample {column}: {name}"
    except StoreRefused:
        raise
    except FshError as error:
        yield f"cannot be read, so not searched: {error.what}"
        if (file_size(path) or 0) <= _LARGEST_TEXT:
            for name in terms.in_text(content_of(path).decode("utf-8", "replace")):
                yield f"text: {name}"


def _is_unambiguous(name: str) -> bool:
    """Whether a name is so long or of such a shape that it means nothing else in a text."""
    return "/" in name or VIDEO_ID.fullmatch(name) is not None or len(name) >= 32
