"""A data set that ``fsh shard`` wrote: its card, its tables, its samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fsh.data_places import data_folder
from fsh.defaults import AnyPath
from fsh.schemas.errors import FshError
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import SPLITS, DataFolder
from fsh.schemas.places.outputs import owned_output, require_free_file
from fsh.schemas.places.stores import is_remote
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.shards.card import DatasetCard, require_shards
from fsh.schemas.shards.sample import SOUND, StoredSample, read_samples
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.tables.conditions import Condition
from fsh.schemas.tables.parquet import read_clips, read_sources
from fsh.schemas.tables.records import Clip, Source


@dataclass(frozen=True)
class DatasetSample:
    """A run of at most 64 frames of one clip. Pictures are decoded when they are asked for."""

    stored: StoredSample

    @property
    def key(self) -> str:
        return self.stored.key

    @cached_property
    def info(self) -> SampleInfo:
        """Clip, video, identity, times, boxes, crop window, specification."""
        return self.stored.info

    @property
    def landmarks(self) -> np.ndarray:
        """float32 (N, 68, 2), crop pixels; NaN in frames without a face."""
        return self.stored.landmarks

    @property
    def mesh(self) -> np.ndarray | None:
        """float32 (N, 478, 3), crop pixels, NaN as ``landmarks``; None if the data set has none."""
        mesh = self.stored.mesh
        return None if mesh is None else mesh.astype(np.float32)

    @property
    def real(self) -> np.ndarray | None:
        """float32 (4,), the part of the crops that shows the video: left, top, right, bottom edges
        in crop pixels; None in data sets of before it was stored."""
        return None if self.info.real is None else np.array(self.info.real, np.float32)

    @property
    def sound(self) -> bytes | None:
        """The run's sound as FLAC; None if it was not kept (``audio``), or the video has none."""
        has = SOUND in self.stored.places and not self.info.silent
        return self.stored[SOUND] if has else None

    def __len__(self) -> int:
        """Frames stored."""
        return self.stored.frames

    def frame(self, index: int) -> np.ndarray:
        """One frame, uint8 (S, S, 3) RGB, S = ``info.spec.size``.

        Raises:
            FshError: if it cannot be decoded.
        """
        from fsh.trainer.data.decode import decode_jpeg

        size = self.info.spec.size
        picture = np.empty((size, size, 3), np.uint8)
        if not decode_jpeg(self.stored.frame(index), size, picture):
            raise self.stored.damaged(f"frame {index}", "cannot be decoded")
        return picture

    def frames(self) -> np.ndarray:
        """All frames, uint8 (N, S, S, 3) RGB.

        Raises:
            FshError: if one of them cannot be decoded.
        """
        return np.stack([self.frame(index) for index in range(len(self))])

    def clip(self) -> FaceClip:
        """Frames, landmarks and times together, as the rest of fsh takes them."""
        return FaceClip(
            name=self.key,
            frames=self.frames(),
            landmarks=self.landmarks,
            times=np.array(self.info.times, np.float64),
            crops=np.tile(np.array(self.info.crop, np.float32), (len(self), 1)),
            spec=self.info.spec,
            mesh=self.mesh,
            real=None if self.real is None else np.tile(self.real, (len(self), 1)),
        )


@dataclass(frozen=True)
class Dataset:
    """A data set on disk. Its length is the number of its samples; iterating gives them all.

    Attributes:
        folder: where everything is.
        card: what ``dataset.json`` says.
    """

    folder: DataFolder
    card: DatasetCard

    @property
    def spec(self) -> FaceSpec:
        """How faces were cropped and landmarked."""
        return self.card.spec

    @property
    def counts(self) -> dict[str, int]:
        """Videos, clips, identities and so on."""
        return self.card.counts

    def clips(self, split: str | None = None) -> list[Clip]:
        """The face tracks found; None: the rejected ones too, with their reasons.

        Raises:
            FshError: if there is no such split.
        """
        clips = read_clips(self.folder.clips)
        if split is None:
            return clips
        _check(split)
        return [clip for clip in clips if clip.kept and clip.split == split]

    def sources(self) -> list[Source]:
        """What was asked for, and what became of it."""
        return read_sources(self.folder.sources)

    def samples(self, split: str | None = None) -> Iterator[DatasetSample]:
        """The samples of a split, or of all, in the order in which they are stored.

        Raises:
            FshError: at once if there is no such split; while iterating if a shard is missing or
                damaged.
        """
        if split is not None:
            _check(split)
        return self._samples(split)

    def _samples(self, split: str | None) -> Iterator[DatasetSample]:
        require_shards(self.folder.root, (s for s in self.card.shards if split in (None, s.split)))
        for shard in self.card.shards:
            if split in (None, shard.split):
                yield from map(DatasetSample, read_samples(self.folder.root / shard.path))

    def __iter__(self) -> Iterator[DatasetSample]:
        return self.samples()

    def __len__(self) -> int:
        return sum(shard.samples for shard in self.card.shards)


def open_dataset(data: AnyPath = "data") -> Dataset:
    """Open the data folder that ``fsh shard`` wrote.

    Args:
        data: the data folder, or its address in an object store.

    Raises:
        FshError: if there is none.
    """
    folder = data_folder(data)
    return Dataset(folder, DatasetCard.read(folder.card))


def inspect(
    data: AnyPath = "data",
    output: AnyPath | None = None,
    *,
    limit: int = 5000,
    only: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Count what a data set holds, and write one HTML page to tune the filters by.

    What cannot be read is counted (``damaged``) and named on the page, which shows the rest.

    Args:
        data: the data folder, or its address in an object store.
        output: the page; None: ``inspect.html`` in the data folder, or of one in a store in the
            working folder.
        limit: clips with pictures at most.
        only: conditions on the labels of the ingested lists, such as ``language=English``; other
            clips are left out.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Returns:
        The counts, and where the ``page`` is.

    Raises:
        FshError: if there is no data set or no such clip, or the page is there and is none of
            fsh's.
    """
    from fsh.pipeline.dataset.pages.contact_sheet import make_page

    folder = data_folder(data)
    # The page is for a browser: it comes to lie on this machine.
    beside = Path(folder.inspect_page.name) if is_remote(folder.root) else folder.inspect_page
    page = Path(output) if output else beside
    require_free_file(page, (str(data),), "page")
    with owned_output(page, "inspect"):
        conditions = tuple(map(Condition.parse, only))
        counts = make_page(folder, page, progress or Silent(), limit=limit, only=conditions)
    return {**counts, "page": str(page)}


def _check(split: str) -> None:
    if split not in SPLITS:
        raise FshError(f"no split {split!r}", remedy=f"use {', '.join(SPLITS)}")
