"""What an erasure means: everything a data folder knows of the targets, under all their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.journal import journal_files
from fsh.pipeline.ingest.ledger import Ledger
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import ids, urls
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.layout import DataFolder
from fsh.schemas.tables import CLIPS, read_table

Row = dict[str, Any]
#: What a video's id looks like inside a text.
VIDEO_ID = re.compile(r"yt-[A-Za-z0-9_-]{11}|v-[0-9a-f]{16}")


@dataclass(frozen=True)
class Plan:
    """What an erasure will take, before anything is written.

    Attributes:
        targets: what was asked for; ``people`` are those among them that name somebody.
        videos: ids; keys: sources (:func:`urls.source_key`); contents: hex SHA-256.
        rows: of the sources table. clips: of the clips table, rejected ones included.
        shards: tars that will be written anew or removed.
        others: identity to the clips that go because they are in the same videos.
        originals: the user's own files that are only linked to: they stay where they are.
        again: nothing of the targets is here any more; they were erased before.
    """

    targets: tuple[str, ...]
    people: tuple[str, ...]
    videos: tuple[str, ...]
    keys: tuple[str, ...]
    contents: tuple[str, ...]
    rows: int
    clips: int
    shards: tuple[str, ...]
    others: dict[str, int]
    originals: tuple[str, ...]
    again: bool

    def to_json(self) -> dict[str, Any]:
        shown = asdict(self)
        return {name: shown[name] for name in shown if name not in ("keys", "contents")}


def plan(data: DataFolder, targets: Sequence[str]) -> Plan:
    """Find out what the targets are: ids of videos, identities, URLs, paths or content hashes.

    A person is erased with every video they are in, and a video under every name and from every
    source it has here.

    Raises:
        FshError: if a target is nothing that is or was here.
    """
    if not data.root.is_dir():
        raise FshError("no data here", where=data.root)
    erased, rows, clips = Tombstones.read(data), known_sources(data), known_clips(data)
    people = {row["identity"] for row in [*rows, *clips] if row["identity"]}
    named = {str(target) for target in targets if str(target).strip()}
    keys = {key for target in named for key in names_of(target)}
    contents = {sha for target in named for sha in contents_of(target)}
    videos, wanted = set(named), named & people
    cached = {t for t in named if ids.is_safe(t) and (data.work / t).is_dir()}
    unknown = []
    for target in sorted(named):
        names, sums = names_of(target), contents_of(target)
        here = target in people or any(
            names & {urls.source_key(row["url"]), row["video_id"]} or row["sha256"] in sums
            for row in rows
        )
        here |= target in cached or any(target == row["video_id"] for row in clips)
        if not here and not _was_erased(erased, target):
            unknown.append(target)
    if unknown:
        raise FshError(
            f"nothing here is called {', '.join(unknown)}",
            where=data.root,
            remedy="give a video's id, a label, a URL or a path as sources.parquet has it",
        )
    videos, keys, contents = _closure(rows, clips, videos, keys, contents, wanted)
    lost = [row for row in clips if row["video_id"] in videos]
    gone = [row for row in rows if _is_of(row, videos, keys, contents, wanted)]
    others = Counter(row["identity"] for row in lost if row["kept"])
    return Plan(
        targets=tuple(sorted(named)),
        people=tuple(sorted(wanted | {t for t in named if erased.covers(identity=t)})),
        videos=tuple(sorted({row["video_id"] or "" for row in [*gone, *lost]} - {""} | cached)),
        keys=tuple(sorted({urls.source_key(row["url"]) for row in gone})),
        contents=tuple(sorted({row["sha256"] or "" for row in gone} - {""})),
        rows=len(gone),
        clips=len(lost),
        shards=tuple(sorted({row["shard"] for row in lost if row["shard"]})),
        others={name: n for name, n in sorted(others.items()) if name not in wanted},
        originals=tuple(sorted(set(_originals(data, gone)))),
        again=not gone and not lost and not cached,
    )


def names_of(target: str) -> set[str]:
    """Every name that sources and videos may have for a target: keys of URLs, ids, paths."""
    url = urls.with_scheme(target.strip())
    names = {target, url, urls.source_key(url)}
    if urls.is_youtube_id(target):
        names.add(f"yt-{target}")
    if not urls.is_url(url):
        path = Path(target).expanduser()
        names |= {str(path.absolute()), str(path.resolve())}
    return names


def contents_of(target: str) -> set[str]:
    """The content hash that a target is, or of the file that it names."""
    if re.fullmatch(r"[0-9a-f]{64}", target):
        return {target}
    path = Path(target).expanduser()
    try:
        return {file_sha256(path)} if path.is_file() else set()
    except OSError:
        return set()


def _closure(
    rows: Sequence[Row],
    clips: Sequence[Row],
    videos: set[str],
    keys: set[str],
    contents: set[str],
    people: set[str],
) -> tuple[set[str], set[str], set[str]]:
    """All ids, sources and contents of what is meant, until there are no more."""
    videos = videos | {row["video_id"] for row in clips if row["identity"] in people}
    videos, keys, contents = videos | keys, set(keys), set(contents)
    while True:
        size = len(videos) + len(keys) + len(contents)
        for row in rows:
            if _is_of(row, videos, keys, contents, people):
                videos |= {row["video_id"] or ""} - {""}
                keys.add(urls.source_key(row["url"]))
                contents |= {row["sha256"] or ""} - {""}
        if len(videos) + len(keys) + len(contents) == size:
            return videos, keys, contents


def _is_of(
    row: Row, videos: set[str], keys: set[str], contents: set[str], people: set[str]
) -> bool:
    return (
        row["video_id"] in videos
        or row["sha256"] in contents
        or row["identity"] in people
        or urls.source_key(row["url"]) in keys
    )


def _was_erased(erased: Tombstones, target: str) -> bool:
    names = names_of(target)
    return any(erased.covers(key=name, identity=target, video=name) for name in names) or any(
        erased.covers(sha256=sha) for sha in contents_of(target)
    )


def _originals(data: DataFolder, rows: Iterable[Row]) -> Iterator[str]:
    """Where the links lead that go."""
    for row in rows:
        path = data.root / row["path"] if row["path"] else None
        if path and path.is_symlink():
            yield str(path.readlink())


def known_sources(data: DataFolder) -> list[Row]:
    if not data.sources.is_file() and not journal_files(data):
        return []
    return list(Ledger(data).rows.values())


def known_clips(data: DataFolder) -> list[Row]:
    return read_table(data.clips, CLIPS).to_pylist() if data.clips.is_file() else []
