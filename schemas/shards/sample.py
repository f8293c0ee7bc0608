"""The sample format: a run of at most 64 frames of one clip, as members of a WebDataset shard.

Members of a sample, in this order::

    <key>.json             identity, times, fps, boxes, spec, where each frame's JPEG begins
    <key>.preview.jpg      the JPEG of the frame in the middle
    <key>.landmarks.npy    float32 (frames, 68, 2), crop pixels
    <key>.mesh.npy         float16 (frames, 478, 3), crop pixels, only if the backend gives a mesh
    <key>.frames.mjpeg     the frames' JPEGs, one after the other
    <key>.flac             the run's sound, only if it was asked for

All samples of a data set have the same members, which Hugging Face's ``datasets`` asks for. In
layout 1 each frame was a member, ``<key>.000.jpg`` …, there was no preview, and a silent video's
sample had no sound; such samples are still read.

Consecutive members with one key make a sample, and a key ends at the first dot, as in WebDataset
(the tests compare with the ``webdataset`` package). Nothing else in fsh knows these names.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.faces.landmarks import POINTS
from fsh.schemas.faces.mesh import MESH_POINTS
from fsh.schemas.ids import clip_of, video_of
from fsh.schemas.shards.npy import npy_bytes, read_npy
from fsh.schemas.shards.sample_info import SampleInfo, offsets_of, real_of, video_id_of
from fsh.schemas.shards.tar import BLOCK, members, open_archive, padded

MAX_FRAMES = 64
#: What follows a sample's key and a dot.
INFO, LANDMARKS, MESH, SOUND = "json", "landmarks.npy", "mesh.npy", "flac"
PREVIEW, FRAMES = "preview.jpg", "frames.mjpeg"
_REMEDY = "run `fsh shard` again"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


@dataclass
class StoredSample:
    """One sample in a shard, read member by member.

    Whatever is wrong with it is an FshError that names the shard and the sample.

    Attributes:
        key: the sample's key.
        archive: the shard, or a part of it, in memory.
        path: the shard, for messages.
        places: first byte and length of each member, by what follows its key.
    """

    key: str
    archive: mmap.mmap | bytes
    path: str | Path = ""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __getitem__(self, extension: str) -> bytes:
        """A member's content.

        Raises:
            FshError: if the sample has no such member.
        """
        start, size = self.place(extension)
        return self.archive[start : start + size]

    def place(self, extension: str) -> tuple[int, int]:
        """First byte and length of a member.

        Raises:
            FshError: if the sample has no such member.
        """
        if extension not in self.places:
            raise FshError(
                f"sample {self.key} lacks {extension!r}", where=self.path, remedy=_REMEDY
            )
        return self.places[extension]

    def damaged(self, member: str, why: object) -> FshError:
        """The error that says what is wrong with a member of this sample."""
        return FshError(f"sample {self.key}: {member} {why}", where=self.path, remedy=_REMEDY)

    @property
    def info(self) -> SampleInfo:
        """The contents of ``<key>.json``.

        Raises:
            FshError: if it is missing or not a sample's.
        """
        try:
            return SampleInfo.from_json(self[INFO])
        except KeyError as error:
            raise self.damaged(INFO, f"lacks {error}") from error
        except (ValueError, TypeError, RecursionError, FshError) as error:
            if isinstance(error, FshError) and error.where:
                raise
            raise self.damaged(INFO, f"cannot be read ({error})") from error

    @property
    def video_id(self) -> str:
        """``info.video_id``, without parsing the hundreds of times and boxes.

        Raises:
            FshError: if it cannot be found.
        """
        try:
            return video_id_of(self[INFO])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self.damaged(INFO, f"cannot be read ({error!r})") from error

    @property
    def real(self) -> tuple[float, float, float, float] | None:
        """``info.real``, found like :attr:`video_id`; None where it is not stored.

        Raises:
            FshError: if it is no four numbers.
        """
        try:
            return real_of(self[INFO])
        except (ValueError, TypeError) as error:
            raise self.damaged(INFO, f"cannot be read ({error!r})") from error

    @property
    def landmarks(self) -> np.ndarray:
        """float32 (frames, 68, 2), crop pixels; NaN in frames without a face.

        Raises:
            FshError: if they are missing, or of another shape or number.
        """
        return self._points(LANDMARKS, (POINTS, 2), np.dtype(np.float32))

    @property
    def mesh(self) -> np.ndarray | None:
        """float16 (frames, 478, 3), crop pixels (:mod:`fsh.schemas.faces.mesh`); NaN as landmarks.

        None if the data set's landmark backend gives none. Errors as :attr:`landmarks`.
        """
        if MESH not in self.places:
            return None
        return self._points(MESH, (MESH_POINTS, 3), np.dtype(np.float16))

    def _points(self, member: str, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        """A member of that many coordinates for each frame."""
        try:
            points = read_npy(self[member])
        except ValueError as error:
            raise self.damaged(member, f"cannot be read ({error})") from error
        if points.shape != (self.frames, *shape) or points.dtype != dtype:
            wanted = f"{dtype} {(self.frames, *shape)}"
            raise self.damaged(member, f"is {points.dtype} {points.shape}, not {wanted}")
        return points

    @cached_property
    def frame_places(self) -> np.ndarray:
        """First byte and length of every frame's JPEG, int64 (frames, 2).

        Raises:
            FshError: if frames are missing, or it is not said rightly where each begins.
        """
        if FRAMES not in self.places:  # layout 1
            count = sum(name.endswith(".jpg") for name in self.places)
            places = [self.place(f"{index:03d}.jpg") for index in range(count)]
            return np.array(places, np.int64).reshape(-1, 2)
        start, size = self.place(FRAMES)
        try:
            edges = offsets_of(self[INFO])
        except ValueError as error:
            raise self.damaged(INFO, f"cannot be read ({error})") from error
        if len(edges) < 2 or edges[0] or edges[-1] != size or (np.diff(edges) <= 0).any():
            raise self.damaged(INFO, f"does not say where in {FRAMES} each frame begins")
        return np.stack([start + edges[:-1], np.diff(edges)], axis=1)

    @property
    def frames(self) -> int:
        """Frames stored.

        Raises:
            FshError: as :attr:`frame_places` does.
        """
        return len(self.frame_places)

    def frame(self, index: int) -> bytes:
        """The JPEG of a frame.

        Raises:
            FshError: if the sample has no such frame.
        """
        if not 0 <= index < self.frames:
            raise self.damaged(f"frame {index}", "is missing")
        start, size = self.frame_places[index].tolist()
        return self.archive[start : start + size]

    def check(self) -> SampleInfo:
        """Whether every member is there and is what it should be; pictures are not decoded.

        Returns:
            The contents of ``<key>.json``.

        Raises:
            FshError: at the first that is not.
        """
        info, count, _ = self.info, len(self.landmarks), self.mesh
        if not count or len(info.times) != count:
            raise self.damaged(INFO, f"has {len(info.times)} times for {count} frames")
        if clip_of(self.key) != info.clip_id or video_of(info.clip_id) != info.video_id:
            raise self.damaged(INFO, f"is of another clip, {info.clip_id} of {info.video_id}")
        if self.frames != count:
            raise self.damaged("pictures", f"are {self.frames}, not {count}")
        old = {f"{index:03d}.jpg" for index in range(count)}
        pictures = {PREVIEW, FRAMES} if FRAMES in self.places else old
        for name in sorted(pictures - set(self.places)):
            self.place(name)
        if unknown := sorted(set(self.places) - {INFO, LANDMARKS, MESH, SOUND, *pictures}):
            raise self.damaged(unknown[0], "does not belong to it")
        for index, (start, size) in enumerate(self.frame_places.tolist()):
            end = start + size
            first, last = self.archive[start : start + 2], self.archive[end - 2 : end]
            if (first, last) != (_JPEG_START, _JPEG_END):
                raise self.damaged(f"frame {index}", "is no whole JPEG")
        if PREVIEW in pictures and self[PREVIEW] != self.frame(count // 2):
            raise self.damaged(PREVIEW, "is not the frame in the middle")
        return info

    @property
    def extent(self) -> tuple[int, int]:
        """First byte and the byte after the last of all members, headers and padding included."""
        starts = [start - BLOCK for start, _ in self.places.values()]
        ends = [start + padded(size) for start, size in self.places.values()]
        return min(starts), max(ends)


def read_samples(path: str | Path) -> Iterator[StoredSample]:
    """The samples of one shard, in their order.

    Raises:
        FshError: if the shard is missing, or cut short, or no tar.
    """
    yield from samples_in(open_archive(path), path)


def samples_in(
    archive: mmap.mmap | bytes,
    path: str | Path,
    *,
    closed: bool = True,
    begin: int = 0,
    size: int | None = None,
) -> Iterator[StoredSample]:
    """:func:`read_samples` of what is in memory; see :func:`fsh.schemas.shards.tar.members`.

    Args:
        path: for messages.
    """
    sample: StoredSample | None = None
    for name, *place in members(archive, path, closed=closed, begin=begin, size=size):
        key, _, extension = name.partition(".")
        if sample is None or key != sample.key:
            if sample is not None:
                yield sample
            sample = StoredSample(key, archive, path)
        sample.places[extension] = (place[0], place[1])
    if sample is not None:
        yield sample


def sample_members(
    key: str,
    info: SampleInfo,
    landmarks: np.ndarray,
    jpegs: Iterable[bytes],
    sound: bytes = b"",
    mesh: np.ndarray | None = None,
) -> list[tuple[str, bytes]]:
    """The (name, bytes) pairs of one sample, in the order they are stored.

    Args:
        landmarks: (frames, 68, 2), crop pixels.
        mesh: (frames, 478, 3), crop pixels, or None if the landmark backend gives none.
    """
    pictures = list(jpegs)
    edges = list(accumulate(map(len, pictures), initial=0))
    members = {
        INFO: replace(info, offsets=edges).to_json(),
        PREVIEW: pictures[len(pictures) // 2],
        LANDMARKS: npy_bytes(landmarks.astype(np.float32)),
        MESH: b"" if mesh is None else npy_bytes(mesh.astype(np.float16)),
        FRAMES: b"".join(pictures),
        SOUND: sound,
    }
    return [(f"{key}.{name}", content) for name, content in members.items() if content]
