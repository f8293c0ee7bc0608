"""Whether a data set is what its card says: a full check that only reads, and a cheap one.

``fsh shard --check`` is the full one: every shard's SHA-256, every sample's members, every clip's
place in the table and, if asked for, every frame's decodability. ``fsh shard`` itself does the
cheap one: a shard that may have changed since its note was written is hashed, others are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simplejpeg

from fsh.pipeline.dataset.shards.notes import is_as_noted, note_of
from fsh.schemas.errors import FshError
from fsh.schemas.ids import clip_of, file_sha256
from fsh.schemas.places.layout import DataFolder, shard_number
from fsh.schemas.places.local_copies import opened
from fsh.schemas.places.stores import file_size, size_and_sha256
from fsh.schemas.progress import Progress
from fsh.schemas.shards.card import DatasetCard, ShardInfo
from fsh.schemas.shards.sample import MESH, StoredSample, samples_in
from fsh.schemas.shards.tar import open_archive
from fsh.schemas.tables.parquet import read_clips
from fsh.schemas.tables.records import Clip

#: What makes a damaged shard anew, whatever became of it.
REMEDY = "move this file away and run `fsh shard` again"
_CHANGED = "run `fsh shard` again"


@dataclass(frozen=True)
class Fault:
    """Something that is not as it should be: a path below the data folder, what, what to do."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return str(FshError(self.what, where=self.where, remedy=self.remedy))


@dataclass
class IntegrityReport:
    """What :func:`check_dataset` read, and what is wrong.

    Attributes:
        shards, samples, frames, bytes: read; of damaged shards what could be read.
        frames_decoded: whether every frame was decoded as well.
        meshes: whether the samples have meshes, as the first that was read; None before it.
    """

    shards: int = 0
    samples: int = 0
    frames: int = 0
    bytes: int = 0
    frames_decoded: bool = False
    meshes: bool | None = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        faults = [vars(fault) for fault in self.faults]
        counts = {name: getattr(self, name) for name in ("shards", "samples", "frames", "bytes")}
        return {
            **counts,
            "frames_decoded": self.frames_decoded,
            "sound": self.sound,
            "faults": faults,
        }


def decodes(jpeg: bytes, size: int) -> bool:
    """Whether a JPEG decodes without a fault to ``size``² pixels."""
    try:
        return simplejpeg.decode_jpeg(jpeg, "RGB").shape == (size, size, 3)
    except ValueError:
        return False


def undecodable_frames(sample: StoredSample, size: int) -> list[int]:
    """Numbers of the frames that do not decode to ``size``² pixels.

    Raises:
        FshError: if the sample lacks a frame.
    """
    return [i for i in range(sample.frames) if not decodes(sample.frame(i), size)]


def check_dataset(
    data: DataFolder, progress: Progress, *, decode_frames: bool = False
) -> IntegrityReport:
    """Read everything that ``fsh shard`` wrote and compare it with the card and the table.

    Nothing is written.

    Args:
        decode_frames: decode every frame as well, which takes far longer than hashing.

    Raises:
        FshError: if there is no data set.
    """
    card = DatasetCard.read(data.card)
    report = IntegrityReport(frames_decoded=decode_frames)
    clips = _check_table(data, card, report)
    places = {clip.clip_id: clip for clip in clips if clip.kept}
    progress.start("check", sum(shard.bytes for shard in card.shards) / 2**20, "MiB")
    for shard in card.shards:
        progress.advance(0, note=shard.path)
        report.faults += _check_shard(data, card, shard, places, report)
        report.shards += 1
        progress.advance(shard.bytes / 2**20)
    progress.stop()
    listed = {shard.path for shard in card.shards}
    for path in sorted(data.shards.glob("*/*.tar")):
        if (name := str(path.relative_to(data.root))) not in listed:
            report.faults.append(Fault(name, "not in the data set's card", _CHANGED))
    return report


def _check_table(data: DataFolder, card: DatasetCard, report: IntegrityReport) -> list[Clip]:
    """The clips; faults of their table go into the report."""
    name = str(data.clips.relative_to(data.root))
    try:
        clips = read_clips(data.clips)
    except FshError as error:
        report.faults.append(Fault(name, error.what, error.remedy))
        return []
    if card.table and card.table != size_and_sha256(data.clips):
        report.faults.append(Fault(name, "differs from what the card says", _CHANGED))
    listed = {shard.path for shard in card.shards}
    for clip in clips:
        if clip.kept and clip.shard not in listed:
            report.faults.append(Fault(name, f"clip {clip.clip_id} is in no shard", _CHANGED))
    return clips


def _check_shard(
    data: DataFolder,
    card: DatasetCard,
    shard: ShardInfo,
    places: dict[str | None, Clip],
    report: IntegrityReport,
) -> Iterator[Fault]:
    """What is wrong with a shard. A broken archive ends it, a broken sample does not."""
    path = data.root / shard.path
    if fault := shard.fault(data.root):
        yield Fault(shard.path, fault.what, _CHANGED)
    try:
        if file_size(path) is None:
            return
        with opened(path) as file:  # of a store's a copy, which is fetched once for all of this
            here = Path(file.name)
        report.bytes += here.stat().st_size
        if not fault and file_sha256(here) != shard.sha256:
            yield Fault(shard.path, "SHA-256 differs from the card's: changed or damaged", REMEDY)
        extents: dict[str, tuple[int, int]] = {}
        samples = frames = 0
        for sample in samples_in(open_archive(here), path):
            samples, frames = samples + 1, frames + sample.frames
            begin, end = sample.extent
            clip = clip_of(sample.key)
            extents[clip] = (extents.get(clip, (begin, end))[0], end)
            yield from _check_sample(shard, sample, card, report)
        report.samples, report.frames = report.samples + samples, report.frames + frames
        if (samples, frames) != (shard.samples, shard.frames):
            found = f"{samples} samples and {frames} frames"
            said = f"the card says {shard.samples} and {shard.frames}"
            yield Fault(shard.path, f"{found}, {said}", REMEDY)
        yield from _check_places(shard, extents, places)
    except OSError as error:
        yield Fault(shard.path, f"cannot be read ({error.strerror})", REMEDY)
    except FshError as error:
        yield Fault(shard.path, error.what, REMEDY)


def _check_sample(
    shard: ShardInfo, sample: StoredSample, card: DatasetCard, report: IntegrityReport
) -> Iterator[Fault]:
    try:
        info = sample.check()
        if info.spec != card.spec:
            yield Fault(shard.path, f"sample {sample.key}: of another face spec", REMEDY)
        report.meshes = has = MESH in sample.places if report.meshes is None else report.meshes
        if (MESH in sample.places) != has:
            what = f"sample {sample.key}: {'lacks' if has else 'has'} a mesh, unlike others"
            yield Fault(shard.path, what, REMEDY)
        if report.frames_decoded and (bad := undecodable_frames(sample, info.spec.size)):
            what = f"sample {sample.key}: {len(bad)} of {sample.frames} frames cannot be decoded"
            yield Fault(shard.path, f"{what} (the first: {bad[0]})", REMEDY)
    except FshError as error:
        yield Fault(shard.path, error.what, REMEDY)


def _check_places(
    shard: ShardInfo, extents: dict[str, tuple[int, int]], places: dict[str | None, Clip]
) -> Iterator[Fault]:
    """Whether the clips of a shard are those that the table places there, where it says."""
    if not places:  # the table cannot be read, which has been said
        return
    found = {clip: (begin, end - begin) for clip, (begin, end) in extents.items()}
    said = {
        clip.clip_id: (clip.offset, clip.bytes)
        for clip in places.values()
        if clip.shard == shard.path
    }
    names = found.keys() | said.keys()
    if wrong := sorted(name for name in names if name and found.get(name) != said.get(name)):
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        yield Fault(shard.path, f"clip {wrong[0]}{others} not where the table says", _CHANGED)


def drop_changed_notes(data: DataFolder, progress: Progress) -> list[str]:
    """Drop the notes of shards that are not what was written, so that they are written anew.

    A shard is hashed only if its file may have changed since its note was written; one that is
    still the same is not hashed again.

    Returns:
        The paths of those that differ, below the data folder.
    """
    try:
        card = DatasetCard.read(data.card)
    except FshError as error:
        if data.card.exists():
            progress.say(f"{error.where}: {error.what}: made anew")
        return []
    changed = []
    for shard in card.shards:
        note = note_of(data, shard)
        if note is None or note.info != shard or is_as_noted(data, note):
            continue
        data.shard_note(shard.split, shard_number(shard.path)).unlink(missing_ok=True)
        changed.append(shard.path)
        progress.say(f"{shard.path}: missing, or not what was written: made anew")
    return changed
