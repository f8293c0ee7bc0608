"""Where things are on disk. Nothing else in fsh joins these names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fsh.schemas.ids import digest, video_of
from fsh.schemas.places.span_layout import SpanFolder
from fsh.schemas.places.stores import cache_folder, is_remote

SPLITS = ("train", "val", "test")
#: How the names of locks beside outputs end.
LOCK_SUFFIX = ".fsh-lock"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The ``data/`` folder: what ``fsh ingest`` and ``fsh shard`` write."""

    root: Path

    @property
    def card(self) -> Path:
        """JSON, Croissant: what the data set is; written last."""
        return self.root / "dataset.json"

    @property
    def readme(self) -> Path:
        """Markdown: the data set's card for people, and for Hugging Face's ``datasets``."""
        return self.root / "README.md"

    @property
    def inspect_page(self) -> Path:
        """HTML: the contact sheet of ``fsh inspect``."""
        return self.root / "inspect.html"

    @property
    def videos(self) -> Path:
        return self.root / "videos"

    @property
    def incoming(self) -> Path:
        """Downloads that are not finished; on the same file system as :attr:`videos`.

        Of a folder in a store: on this machine.
        """
        if is_remote(self.root):
            return cache_folder() / "incoming" / digest(str(self.root))
        return self.videos / ".incoming"

    @property
    def records(self) -> Path:
        """The folder of all that is known of sources: table, journals, tombstones, locks."""
        return self.root / "sources"

    @property
    def sources(self) -> Path:
        """Parquet, one row per requested URL or file."""
        return self.records / "sources.parquet"

    @property
    def journals(self) -> Path:
        """JSON lines per worker: what has been fetched and is not in :attr:`sources` yet."""
        return self.records / "journal"

    @property
    def rate_limits(self) -> Path:
        """JSON: when each host may be asked again; numbered in a store."""
        return self.records / "governor.json"

    @property
    def tombstones(self) -> Path:
        """JSON: hashes of what was erased on request; a later ingest refuses it."""
        return self.records / "tombstones.json"

    def lock(self, command: str) -> Path:
        """The file that ``command`` (``ingest``, ``shard``) holds while it works here."""
        return self.records / (".lock" if command == "ingest" else f".lock-{command}")

    def run_file(self, command: str, run: str) -> Path:
        """An empty file that is there as long as a run of ``command`` is to go on."""
        return self.records / f".run-{command}-{run}"

    @property
    def clips(self) -> Path:
        """Parquet, one row per face track, kept or rejected."""
        return self.root / "clips" / "clips.parquet"

    @property
    def throughput(self) -> Path:
        """JSON: where the time of the runs went (:mod:`fsh.schemas.throughput`)."""
        return self.clips.with_name("throughput.json")

    @property
    def work(self) -> Path:
        """What is finished per video: scores and one small tar per clip. Resume reads it."""
        return self.root / "work"

    def span(self, video_id: str, start: float, key: str) -> SpanFolder:
        """What is finished of a stretch of a video.

        Args:
            start: seconds, where the stretch begins.
            key: hex digits that differ where video, stretch or settings do.
        """
        return SpanFolder(self.work / video_id / f"{round(start * 1000):09d}-{key}")

    @property
    def clips_without_shards(self) -> Path:
        """Parquet: :attr:`clips` as long as it is not known where in a shard each clip lies."""
        return self.work / "settled.parquet"

    @property
    def packs(self) -> Path:
        """Parquet, copies of the tables of many finished spans; may be deleted at any time."""
        return self.work / "packs"

    @property
    def times(self) -> Path:
        """JSON per span: what it took, until a run adds it to :attr:`throughput`."""
        return self.work / "times"

    @property
    def shard_notes(self) -> Path:
        """The folder of :meth:`shard_note`."""
        return self.work / "shards"

    def shard_note(self, split: str, index: int) -> Path:
        """JSON: what is known of a written shard."""
        return self.shard_notes / f"{self.shard(split, index).stem}.json"

    @property
    def shard_plans(self) -> Path:
        """The folder of :meth:`shard_plan`, as long as shards are written."""
        return self.work / "plans"

    def shard_plan(self, split: str, index: int) -> Path:
        """JSON: the clips of a shard to be."""
        return self.shard_plans / f"{self.shard(split, index).stem}.json"

    @property
    def shards(self) -> Path:
        return self.root / "shards"

    def shard(self, split: str, index: int) -> Path:
        return self.shards / split / f"fsh-{split}-{index:06d}.tar"

    def all_shards(self) -> list[Path]:
        return sorted(self.shards.glob("*/fsh-*.tar"))

    def clip_tars(self, clip_id: str) -> list[Path]:
        """:meth:`SpanFolder.clip` in every span of the clip's video that has it."""
        folder = self.work / video_of(clip_id)
        return sorted(folder.glob(str(SpanFolder(Path("*")).clip(clip_id))))


def shard_number(path: str | Path) -> int:
    """The number in a shard's file name, or its note's."""
    name = path if isinstance(path, str) else path.name
    return int(Path(name).stem.rsplit("-", 1)[1])


def output_lock(path: Path) -> Path:
    """The file that a command holds while it writes this file or folder; beside it."""
    name = os.fsdecode(os.fsencode(path.name)[:200])
    return path.parent / f".{name}{LOCK_SUFFIX}"
