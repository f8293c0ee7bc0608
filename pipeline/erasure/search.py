"""Whether anything of the erased is left: a search of the whole data folder that trusts no table.

It reads every file: names, links, Parquet columns, tar members, texts, and the content of videos.
What it looks for are the names that it is given, and whatever the tombstones cover.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from fsh.pipeline.erasure.plan import VIDEO_ID, contents_of, names_of
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.ids import content_id, file_sha256
from fsh.schemas.layout import DataFolder

#: Largest file that is read as a text whatever it is.
_TEXT = 2**28


class Found(NamedTuple):
    """A place where something is left: a path below the data folder, and what is there."""

    where: str
    what: str


@dataclass(frozen=True)
class Wanted:
    """What to look for.

    Attributes:
        names: ids, URLs, paths and hashes: found inside any text.
        words: labels of people: found as a whole word only.
        contents: hex SHA-256 of files.
    """

    names: frozenset[str]
    words: frozenset[str]
    contents: frozenset[str]
    erased: Tombstones

    @classmethod
    def of(cls, targets: Iterable[str], erased: Tombstones) -> Wanted:
        names, words, contents = set(), set(), set()
        for target in targets:
            contents |= contents_of(target)
            telling = {n for n in names_of(target) if _is_telling(n)}
            names |= telling
            if target not in telling:
                words.add(target)
        names |= contents | {content_id(sha) for sha in contents}
        return cls(frozenset(names), frozenset(words), frozenset(contents), erased)

    def in_text(self, text: str) -> list[str]:
        """What of it is in a text."""
        found = [name for name in self.names if name in text]
        for word in self.words:
            if word in text and re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text):
                found.append(word)
        erased = {v for v in set(VIDEO_ID.findall(text)) if self.erased.covers(video=v)}
        return sorted({*found, *erased})

    def in_value(self, column: str, value: str) -> list[str]:
        """What of it a table's cell holds; a label must fill its cell."""
        found = [name for name in self.names if name in value]
        found += [word for word in self.words if word == value]
        kinds = {"video_id": "video", "sha256": "sha256", "identity": "identity"}
        if column == "url" and self.erased.covers(key=urls.source_key(value)):
            found.append("an erased source")
        elif column in kinds and self.erased.covers(**{kinds[column]: value}):
            found.append(f"an erased {column}")
        return found


def leftovers(data: DataFolder, targets: Sequence[str]) -> list[Found]:
    """Every place that still holds a target, or anything else that was ever erased here.

    Raises:
        FshError: if there is no such folder.
    """
    if not data.root.is_dir():
        raise FshError("no data here", where=data.root)
    wanted = Wanted.of(targets, Tombstones.read(data))
    return [
        Found(str(path.relative_to(data.root)), what)
        for path in sorted(data.root.rglob("*"))
        for what in sorted(set(_in_path(data, path, wanted)))
    ]


def _in_path(data: DataFolder, path: Path, wanted: Wanted) -> Iterator[str]:
    for name in wanted.in_text(path.name):
        yield f"name: {name}"
    if path.is_symlink():
        for name in wanted.in_text(str(path.readlink())):
            yield f"link: {name}"
    if not path.is_file():
        return
    if path.is_relative_to(data.videos):
        yield from _in_content(path, wanted)
    elif path.suffix == ".parquet":
        yield from _in_table(path, wanted)
    elif path.suffix == ".tar":
        yield from _in_tar(path, wanted)
    elif path.stat().st_size <= _TEXT:
        for name in wanted.in_text(path.read_bytes().decode("utf-8", "replace")):
            yield f"text: {name}"


def _in_content(path: Path, wanted: Wanted) -> Iterator[str]:
    sha256 = file_sha256(path)
    same = sha256 in wanted.contents or content_id(sha256) in wanted.names
    if same or wanted.erased.covers(sha256=sha256):
        yield f"content: {sha256}"


def _in_table(path: Path, wanted: Wanted) -> Iterator[str]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        yield f"cannot be read, so not searched: {error}"
        return
    for column in table.schema.names:
        if not pa.types.is_string(table.schema.field(column).type):
            continue
        for value in table[column].unique().to_pylist():
            for name in wanted.in_value(column, value or ""):
                yield f"column {column}: {name}"
    # Statistics and metadata in the file's footer are not compressed.
    for name in wanted.in_text(path.read_bytes().decode("utf-8", "replace")):
        yield f"footer: {name}"


def _in_tar(path: Path, wanted: Wanted) -> Iterator[str]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                for name in wanted.in_text(member.name):
                    yield f"member: {name}"
                if member.name.endswith(".json"):
                    content = archive.extractfile(member)
                    info = json.loads(content.read()) if content else {}
                    for column in ("clip_id", "video_id", "identity"):
                        for name in wanted.in_value(column, str(info.get(column, ""))):
                            yield f"sample {column}: {name}"
    except (tarfile.TarError, ValueError) as error:
        yield f"cannot be read, so not searched: {error}"


def _is_telling(name: str) -> bool:
    """Whether a name is so long or of such a shape that it stands for nothing else in a text."""
    return "/" in name or VIDEO_ID.fullmatch(name) is not None or len(name) >= 32
