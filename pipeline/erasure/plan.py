"""What an erasure takes: everything a data folder knows of what was named, under all its names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fsh.pipeline.ingest.journal import journal_files
from fsh.pipeline.ingest.ledger import Ledger
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import ids, urls
from fsh.schemas.errors import FshError
from fsh.schemas.places.folder_kinds import is_data_folder
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import file_size, is_remote, listing
from fsh.schemas.tables.parquet import read_clips
from fsh.schemas.tables.records import Clip, Source

#: What a video's id looks like inside a text.
VIDEO_ID = re.compile(r"yt-[A-Za-z0-9_-]{11}(?:-\d{1,9}-\d{1,9})?|v-[0-9a-f]{16}")


@dataclass(frozen=True)
class ErasurePlan:
    """What an erasure will take, before anything is written.

    Attributes:
        targets: what was asked for; ``people`` are those among them that name somebody.
        videos: ids; keys: sources (:func:`fsh.schemas.urls.source_key`); contents: hex SHA-256.
        rows: of the sources table. clips: of the clips table, rejected ones included.
        shards: tars that will be written anew or removed.
        others: identity → number of clips that go because they are in the same videos.
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


def plan_erasure(data: DataFolder, targets: Sequence[str]) -> ErasurePlan:
    """Find out what the targets are: ids of videos, identities, URLs, paths or content hashes.

    A person is erased with every video they are in, and a video under every name and from every
    source it has here.

    Raises:
        FshError: if a target is nothing that is or was here.
    """
    require_there(data)
    erased, sources, clips = Tombstones.read(data), known_sources(data), known_clips(data)
    named = {str(target) for target in targets if str(target).strip()}
    labels = {one.identity for one in sources} | {clip.identity or "" for clip in clips}
    cached = {name for name in named if ids.is_safe(name) and _has_work(data, name)}
    unknown = [
        target
        for target in sorted(named)
        if target not in labels | cached
        and not _is_here(target, sources, clips)
        and not _was_erased(erased, target)
    ]
    if unknown:
        raise FshError(
            f"nothing here is called {', '.join(unknown)}",
            where=data.root,
            remedy="give a video's id, a label, a URL or a path as sources.parquet has it",
        )
    people = named & (labels - {""})
    names = _all_names(named, people, sources, clips)
    lost = [clip for clip in clips if clip.video_id in names.videos]
    gone = [source for source in sources if names.match(source)]
    others = Counter(clip.identity or "" for clip in lost if clip.kept)
    videos = {source.video_id for source in gone} | {clip.video_id for clip in lost} | cached
    return ErasurePlan(
        targets=tuple(sorted(named)),
        people=tuple(sorted(people | {t for t in named if erased.covers(identity=t)})),
        videos=tuple(sorted(videos - {""})),
        keys=tuple(sorted({source.key for source in gone})),
        contents=tuple(sorted({source.sha256 for source in gone if source.sha256})),
        rows=len(gone),
        clips=sum(bool(clip.clip_id) for clip in lost),
        shards=tuple(sorted({clip.shard for clip in lost if clip.shard})),
        others={name: n for name, n in sorted(others.items()) if name not in people},
        originals=tuple(sorted(set(_originals(data, gone)))),
        again=not gone and not lost and not cached,
    )


def require_there(data: DataFolder) -> None:
    """Raises:
    FshError: if there is no such data folder.
    """
    if not (is_data_folder(data) if is_remote(data.root) else data.root.is_dir()):
        raise FshError("no data here", where=data.root)


def _has_work(data: DataFolder, video: str) -> bool:
    folder = data.work / video
    return bool(listing(folder)) if is_remote(folder) else folder.is_dir()


def names_of(target: str) -> set[str]:
    """Every name that sources and videos may have for a target: keys of URLs, ids, paths."""
    url = urls.with_scheme(target.strip())
    names = {target, url, urls.source_key(url)}
    if urls.is_youtube_id(target):
        names.add(f"yt-{target}")
    if not urls.is_url(url):
        path = urls.user_path(target)
        names |= {str(path.absolute()), str(path.resolve())}
    return names


def content_hashes_of(target: str) -> set[str]:
    """Hex SHA-256: the one that a target is, or that of the file it names."""
    if re.fullmatch(r"[0-9a-f]{64}", target):
        return {target}
    path = urls.user_path(target)
    try:
        return {ids.file_sha256(path)} if path.is_file() else set()
    except OSError:
        return set()


def known_sources(data: DataFolder) -> list[Source]:
    """The ledger's sources; none if nothing was ingested."""
    if file_size(data.sources) is None and not journal_files(data):
        return []
    return list(Ledger(data).sources.values())


def known_clips(data: DataFolder) -> list[Clip]:
    """The rows of the clips table; none if there is no table."""
    return read_clips(data.clips) if file_size(data.clips) is not None else []


@dataclass(frozen=True)
class _Names:
    """What videos are known by: their ids, source keys, content hashes, and people in them."""

    videos: frozenset[str]
    keys: frozenset[str]
    contents: frozenset[str]
    people: frozenset[str]

    def match(self, source: Source) -> bool:
        return (
            source.video_id in self.videos
            or source.sha256 in self.contents
            or source.identity in self.people
            or source.key in self.keys
        )


def _all_names(
    named: Iterable[str], people: Iterable[str], sources: Sequence[Source], clips: Sequence[Clip]
) -> _Names:
    """Everything that the targets are known by: each name found may lead to more sources."""
    keys = frozenset(key for target in named for key in names_of(target))
    contents = frozenset(sha for target in named for sha in content_hashes_of(target))
    people = frozenset(people)
    theirs = {clip.video_id for clip in clips if clip.identity in people}
    names = _Names(frozenset(named) | theirs | keys, keys, contents, people)
    while True:
        found = [source for source in sources if names.match(source)]
        more = replace(
            names,
            videos=names.videos | {one.video_id for one in found if one.video_id},
            keys=names.keys | {one.key for one in found},
            contents=names.contents | {one.sha256 for one in found if one.sha256},
        )
        if more == names:
            return names
        names = more


def _is_here(target: str, sources: Sequence[Source], clips: Sequence[Clip]) -> bool:
    names, contents = names_of(target), content_hashes_of(target)
    return any(clip.video_id == target for clip in clips) or any(
        names & {source.key, source.video_id} or source.sha256 in contents for source in sources
    )


def _was_erased(erased: Tombstones, target: str) -> bool:
    names = names_of(target)
    return any(erased.covers(key=name, identity=target, video=name) for name in names) or any(
        erased.covers(sha256=sha) for sha in content_hashes_of(target)
    )


def _originals(data: DataFolder, sources: Iterable[Source]) -> Iterator[str]:
    """The user's files that the removed links lead to."""
    for source in sources:
        path = data.root / source.path if source.path else None
        if path and not is_remote(path) and path.is_symlink():
            yield str(path.readlink())
