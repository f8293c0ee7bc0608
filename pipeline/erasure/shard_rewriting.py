"""Taking clips out of written shards: every other clip keeps its bytes and its order."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fsh.pipeline.dataset.shards import ShardClip, ShardNote, ShardPlan
from fsh.pipeline.erasure.plan import Row
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.card import ShardInfo
from fsh.schemas.ids import file_sha256, video_of
from fsh.schemas.layout import DataFolder, replacing
from fsh.schemas.tar import write_members


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


def rewrite(
    data: DataFolder, path: Path, erased: Tombstones, left: Sequence[Row]
) -> ShardInfo | None:
    """Cut a shard and note what it holds now; None if it is gone."""
    split, number = path.parent.name, int(path.stem.rsplit("-", 1)[1])
    note = data.shard_note(split, number)
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
        tars = list((data.work / video_of(clip)).glob(f"*/{clip}.tar"))
        if len(tars) != 1 or clip not in names:
            return info  # `fsh shard` will make sure of this shard itself
        tar = str(tars[0].relative_to(data.root))
        entries.append(ShardClip(clip, names[clip], tar, tars[0].stat().st_size))
    planned = ShardPlan(split, number, tuple(entries)).digest
    ShardNote(planned, info, places).write(note)
    return info


def unknown_shards(data: DataFolder, erased: Tombstones) -> Iterator[str]:
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
    return erased.covers(video=video_of(clip))
