"""``fsh forget``: everything a data folder holds of some videos or people, taken out of it.

The tombstones are written first and are all the intent there is: salted hashes of every name the
erased have. What follows is a sweep that removes whatever they cover. Each of its steps can be
repeated, and what later steps must find is removed last, so that after a kill at any moment the
same command finishes the job, and the folder is the same to the byte as without the kill.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fsh.pipeline import net_rules, shards
from fsh.pipeline.config import ShardConfig
from fsh.pipeline.held import Held, hold
from fsh.pipeline.journal import journal_files
from fsh.pipeline.ledger import Ledger, locked
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import ids
from fsh.schemas.card import DatasetCard, ShardInfo
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.layout import SPLITS, DataFolder, replacing
from fsh.schemas.sample import write_members
from fsh.schemas.tables import CLIPS, read_table, to_table, write_table

Row = dict[str, Any]
#: What a video's id looks like inside a text.
VIDEO_ID = re.compile(r"yt-[A-Za-z0-9_-]{11}|v-[0-9a-f]{16}")
#: Temporary files of :func:`fsh.schemas.layout.replacing` that a kill left behind.
_TEMPORARY = ".*.tmp"


@dataclass(frozen=True)
class Plan:
    """What an erasure will take, before anything is written.

    Attributes:
        targets: what was asked for; ``people`` are those among them that name somebody.
        videos: ids; keys: sources (:func:`net_rules.source_key`); contents: hex SHA-256.
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
    erased, rows, clips = Tombstones.read(data), _ledger_rows(data), _clips(data)
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
            names & {net_rules.source_key(row["url"]), row["video_id"]} or row["sha256"] in sums
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
        keys=tuple(sorted({net_rules.source_key(row["url"]) for row in gone})),
        contents=tuple(sorted({row["sha256"] or "" for row in gone} - {""})),
        rows=len(gone),
        clips=len(lost),
        shards=tuple(sorted({row["shard"] for row in lost if row["shard"]})),
        others={name: n for name, n in sorted(others.items()) if name not in wanted},
        originals=tuple(sorted(set(_originals(data, gone)))),
        again=not gone and not lost and not cached,
    )


def forget(
    data: DataFolder,
    wanted: Plan,
    *,
    config: ShardConfig | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Tombstones:
    """Carry out a plan, and whatever an earlier, interrupted call left to do.

    Args:
        config: how the data set was sharded, if not by default.
        step: told what comes next.

    Raises:
        FshError: if the folder is in use.
    """
    config = config or ShardConfig()
    with locked(data), locked(data, "shard"):
        step("tombstones")
        erased = Tombstones.read(data)
        before = erased
        for person in wanted.people:
            erased = erased.adding(identity=person)
        for name, values in (
            ("video", wanted.videos),
            ("key", wanted.keys),
            ("sha256", wanted.contents),
        ):
            for value in values:
                erased = erased.adding(**{name: value})
        if erased != before:
            held = _held(data, frozenset(wanted.videos), erased, config)
            Tombstones(erased.salt, erased.marks, held).write(data)
        sweep(data, Tombstones.read(data), step)
        return Tombstones.read(data)


def sweep(data: DataFolder, erased: Tombstones, step: Callable[[str], None]) -> None:
    """Remove whatever the tombstones cover; nothing is written where they cover nothing."""
    step("leftovers")
    for path in data.root.rglob(_TEMPORARY):
        path.unlink()
    shutil.rmtree(data.videos / ".incoming", ignore_errors=True)
    (data.work / "settled.parquet").unlink(missing_ok=True)
    step("inspect page")
    for page in data.root.rglob("*.html"):
        if _mentions(page.read_text(errors="replace"), erased):
            page.unlink()
    step("shards and tables")
    _sweep_tables(data, erased)
    step("cached work")
    for folder in data.work.iterdir() if data.work.is_dir() else ():
        if folder.is_dir() and erased.covers(video=folder.name):
            shutil.rmtree(folder)
    step("videos")
    known = {row["path"] for row in _ledger_rows(data)}
    for path in data.videos.iterdir() if data.videos.is_dir() else ():
        orphan = str(path.relative_to(data.root)) not in known and path.is_file()
        if erased.covers(video=path.name.split(".")[0]) or (
            orphan and erased.covers(sha256=file_sha256(path))
        ):
            path.unlink()
    step("sources")
    _sweep_sources(data, erased)


def names_of(target: str) -> set[str]:
    """Every name that sources and videos may have for a target: keys of URLs, ids, paths."""
    url = net_rules.with_scheme(target.strip())
    names = {target, url, net_rules.source_key(url)}
    if net_rules.is_youtube_id(target):
        names.add(f"yt-{target}")
    if not net_rules.is_url(url):
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


def cut(path: Path, erased: Tombstones) -> tuple[dict[str, tuple[int, int]], Counter[str]] | None:
    """Take the erased clips out of a shard; all others keep their bytes and their order.

    Returns:
        Offset and bytes of every clip left, and counts of ``samples`` and ``frames``; None if
        nothing was left and the shard is gone.
    """
    if not path.is_file():
        return None
    segments: dict[str, list[int]] = {}
    counts: Counter[str] = Counter()
    with tarfile.open(path) as archive:
        for member in archive:
            end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            clip = member.name.split(".")[0].rsplit("_", 1)[0]
            segments.setdefault(clip, [member.offset, end])[1] = end
            if not _is_erased_clip(clip, erased):
                counts["samples"] += member.name.endswith(".json")
                counts["frames"] += member.name.endswith(".jpg")
    left = {clip: at for clip, at in segments.items() if not _is_erased_clip(clip, erased)}
    if not left:
        path.unlink()
        return None
    places, offset = {}, 0
    for clip, (begin, end) in left.items():
        places[clip] = (offset, end - begin)
        offset += end - begin
    if len(left) < len(segments):
        with replacing(path) as temporary, path.open("rb") as old, temporary.open("wb") as new:
            for begin, end in left.values():
                old.seek(begin)
                new.write(old.read(end - begin))
            write_members(new, [], end=True)
    return places, counts


def _sweep_tables(data: DataFolder, erased: Tombstones) -> None:
    """Shards, then the card, and last the table that tells which shards to look at."""
    rows = read_table(data.clips, CLIPS).to_pylist() if data.clips.is_file() else []
    left = [row for row in rows if not erased.covers(video=row["video_id"])]
    touched = {
        row["shard"] for row in rows if row["shard"] and erased.covers(video=row["video_id"])
    }
    touched |= set(_unknown_shards(data, erased))
    written: dict[str, ShardInfo | None] = {}
    for name in sorted(touched):
        written[name] = _rewrite(data, data.root / name, erased, left)
    if not touched and len(left) == len(rows):
        return
    places = {
        clip: (info.path, *place)
        for info in written.values()
        if info
        for clip, place in shards.places_in(data, info).items()
    }
    for row in left:
        if row["clip_id"] in places and row["kept"]:
            row["shard"], row["offset"], row["bytes"] = places[row["clip_id"]]
    # The card holds the table's hash, and the table tells what is to be done: it comes last.
    table = data.clips.with_name(".clips-erased.tmp")
    if data.clips.is_file():
        write_table(to_table(left, CLIPS), table, CLIPS)
    if data.card.is_file():
        _describe(data, left, written, table)
    if table.is_file():
        table.replace(data.clips)


def _rewrite(
    data: DataFolder, path: Path, erased: Tombstones, left: Sequence[Row]
) -> ShardInfo | None:
    """Cut a shard and note what it holds now; None if it is gone."""
    split, number = path.parent.name, int(path.stem.rsplit("-", 1)[1])
    note = shards.note_path(data, split, number)
    note.unlink(missing_ok=True)
    found = cut(path, erased)
    if found is None:
        return None
    places, counts = found
    info = ShardInfo(
        path=str(path.relative_to(data.root)),
        split=split,
        samples=counts["samples"],
        frames=counts["frames"],
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
    )
    names = {row["clip_id"]: row["identity"] for row in left if row["kept"]}
    entries = []
    for clip in places:
        tars = list((data.work / clip.rsplit("_", 2)[0]).glob(f"*/{clip}.tar"))
        if len(tars) != 1 or clip not in names:
            return info  # `fsh shard` will make sure of this shard itself
        tar = str(tars[0].relative_to(data.root))
        entries.append(shards.Entry(clip, names[clip], tar, tars[0].stat().st_size))
    planned = shards.ShardPlan(split, number, tuple(entries)).digest
    shards.write_note(note, planned, info, places)
    return info


def _describe(
    data: DataFolder, left: Sequence[Row], written: Mapping[str, ShardInfo | None], table: Path
) -> None:
    """The data set's card, with the new shards and counts."""
    card = DatasetCard.read(data.card)
    infos = [written.get(info.path, info) for info in card.shards]
    order = tuple(info for info in infos if info)
    kept = [row for row in left if row["kept"]]
    counts = {
        "videos": len({row["video_id"] for row in left}),
        "clips": len(kept),
        "identities": len({row["identity"] for row in kept}),
        "samples": sum(info.samples for info in order),
        "frames": sum(info.frames for info in order),
        "rejected": len(left) - len(kept),
    }
    DatasetCard(card.spec, order, counts, card.made_with).write(data.card, table)


def _sweep_sources(data: DataFolder, erased: Tombstones) -> None:
    """The governor's hosts that nobody else uses, then the ledger; journals are taken into it."""
    if not data.sources.is_file() and not journal_files(data):
        return
    ledger = Ledger(data)
    gone = [name for name, row in ledger.rows.items() if erased.covers_row(row)]
    if not gone and not journal_files(data):
        return
    hosts = {net_rules.host_group(ledger.rows.pop(name)["url"]) for name in gone}
    hosts -= {net_rules.host_group(row["url"]) for row in ledger.rows.values()}
    governor = data.sources.parent / "governor.json"
    if governor.is_file():
        text = governor.read_text()
        known = json.loads(text or "{}")
        if hosts & known.keys():
            with replacing(governor) as temporary:
                rest = {host: known[host] for host in known if host not in hosts}
                temporary.write_text(json.dumps(rest))
    ledger.compact(drop_journals=True)


def _held(data: DataFolder, gone: frozenset[str], erased: Tombstones, config: ShardConfig) -> Held:
    """What the rest of the data set must keep, so that sharding again gives what is there."""
    requests: dict[str, list[Row]] = defaultdict(list)
    for row in _ledger_rows(data):
        if row["state"] == "stored":
            requests[row["video_id"]].append(row)
    kept = [row for row in _clips(data) if row["kept"] and row["video_id"] in requests]
    for row in kept:
        embedding = row["embedding"]
        row["embedding"] = None if embedding is None else np.array(embedding, np.float32)
    held = hold(kept, gone, requests, config.same_person, erased.held)
    least = dict(held.shards)
    for split in SPLITS:
        part = [row for row in kept if row["split"] == split and row["video_id"] not in gone]
        numbers = [
            int(Path(row["shard"]).stem.rsplit("-", 1)[1])
            for row in kept
            if row["split"] == split and row["shard"]
        ]
        present = max([least.get(split, 1), *(number + 1 for number in numbers)])
        entries = []
        for row in part:
            tars = list((data.work / row["video_id"]).glob(f"*/{row['clip_id']}.tar"))
            size = tars[0].stat().st_size if tars else row["bytes"] or 0
            entries.append(shards.Entry(row["clip_id"], row["identity"], "", size))
        planned = shards.plan(split, entries, config.shard_bytes)
        if present > 1 and len(planned) < present:
            least[split] = present
    return Held(held.names, held.splits, least)


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
                keys.add(net_rules.source_key(row["url"]))
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
        or net_rules.source_key(row["url"]) in keys
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


def _unknown_shards(data: DataFolder, erased: Tombstones) -> Iterator[str]:
    """Shards with erased clips that the table knows nothing of: a kill came before it."""
    for path in sorted(data.shards.glob("*/fsh-*.tar")):
        note = data.work / "shards" / f"{path.stem}.json"
        try:
            clips = json.loads(note.read_text())["clips"]
        except (FileNotFoundError, ValueError, KeyError):
            with tarfile.open(path) as archive:
                clips = {name.split(".")[0].rsplit("_", 1)[0] for name in archive.getnames()}
        if any(_is_erased_clip(clip, erased) for clip in clips):
            yield str(path.relative_to(data.root))


def _is_erased_clip(clip: str, erased: Tombstones) -> bool:
    return erased.covers(video=clip.rsplit("_", 2)[0])


def _mentions(text: str, erased: Tombstones) -> bool:
    return any(erased.covers(video=found) for found in set(VIDEO_ID.findall(text)))


def _ledger_rows(data: DataFolder) -> list[Row]:
    if not data.sources.is_file() and not journal_files(data):
        return []
    return list(Ledger(data).rows.values())


def _clips(data: DataFolder) -> list[Row]:
    return read_table(data.clips, CLIPS).to_pylist() if data.clips.is_file() else []
