"""The sample format: a run of at most 64 frames of one clip, as members of a WebDataset shard.

Members of a sample, in this order::

    <key>.json             identity, times, fps, boxes, spec
    <key>.landmarks.npy    float32 (frames, 68, 2), crop pixels
    <key>.000.jpg …        one JPEG per frame
    <key>.flac             the run's sound, only if it was asked for

Consecutive members with one key make a sample, and a key ends at the first dot, as in WebDataset
(the tests compare with the ``webdataset`` package). Nothing else in fsh knows these names.
"""

from __future__ import annotations

import io
import json
import mmap
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from fsh.schemas.spec import FaceSpec
from fsh.schemas.tar import BLOCK, members, open_archive, padded

MAX_FRAMES = 64
#: What follows a sample's key and a dot.
INFO, LANDMARKS, SOUND = "json", "landmarks.npy", "flac"
_VIDEO = re.compile(rb'"video_id":\s?"([^"\\]*)"')
#: Bytes of ``.npy`` in which the header of a plain array ends.
_NPY_HEADER = 128


@dataclass(frozen=True)
class SampleInfo:
    """The contents of ``<key>.json``.

    Attributes:
        clip_id: the clip this run was cut from.
        video_id: the video the clip was cut from.
        identity: who it is (a label of the user's list or one that fsh made up).
        fps: frames per second of the stored frames, nominal.
        times: seconds on the source video's clock, one per frame.
        boxes: the face box per frame in source pixels: left, top, right, bottom.
        crop: the crop window in source pixels: left, top, side. The same over a clip.
        spec: the crop and landmark specification.
    """

    clip_id: str
    video_id: str
    identity: str
    fps: float
    times: list[float]
    boxes: list[list[float]]
    crop: list[float]
    spec: FaceSpec

    def to_json(self) -> bytes:
        data = {**asdict(self), "spec": self.spec.to_json()}
        return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes | str) -> SampleInfo:
        data = json.loads(text)
        return cls(**{**data, "spec": FaceSpec.from_json(data["spec"])})


@dataclass
class StoredSample:
    """One sample in a shard, read member by member.

    Attributes:
        key: the sample's key.
        archive: the shard, or a part of it, in memory.
        places: first byte and length of each member, by what follows its key.
    """

    key: str
    archive: mmap.mmap | bytes
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __getitem__(self, extension: str) -> bytes:
        """A member's content.

        Raises:
            KeyError: if the sample has no such member.
        """
        start, size = self.places[extension]
        return self.archive[start : start + size]

    @property
    def info(self) -> SampleInfo:
        return SampleInfo.from_json(self[INFO])

    @property
    def video_id(self) -> str:
        """``info.video_id``, without parsing the hundreds of times and boxes."""
        return video_id_of(self[INFO])

    @property
    def landmarks(self) -> np.ndarray:
        """float32 (frames, 68, 2), crop pixels; NaN in frames without a face."""
        return read_npy(self[LANDMARKS])

    @property
    def frames(self) -> int:
        """Frames stored."""
        return sum(name.endswith(".jpg") for name in self.places)

    def frame(self, index: int) -> bytes:
        """The JPEG of a frame."""
        return self[frame_extension(index)]

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
    archive: mmap.mmap | bytes, path: str | Path, *, closed: bool = True
) -> Iterator[StoredSample]:
    """:func:`read_samples` of what is in memory; see :func:`fsh.schemas.tar.members`."""
    sample: StoredSample | None = None
    for name, start, size in members(archive, path, closed=closed):
        key, _, extension = name.partition(".")
        if sample is None or key != sample.key:
            if sample is not None:
                yield sample
            sample = StoredSample(key, archive)
        sample.places[extension] = (start, size)
    if sample is not None:
        yield sample


def frame_extension(index: int) -> str:
    """``"000.jpg"`` … ``"063.jpg"``: what WebDataset shows as the frame's field."""
    return f"{index:03d}.jpg"


def sample_members(
    key: str, info: SampleInfo, landmarks: np.ndarray, jpegs: Iterable[bytes], sound: bytes = b""
) -> list[tuple[str, bytes]]:
    """The (name, bytes) pairs of one sample, in the order they are stored."""
    members = [
        (f"{key}.{INFO}", info.to_json()),
        (f"{key}.{LANDMARKS}", npy_bytes(landmarks.astype(np.float32))),
    ]
    members += [(f"{key}.{frame_extension(i)}", jpeg) for i, jpeg in enumerate(jpegs)]
    return members + ([(f"{key}.{SOUND}", sound)] if sound else [])


def video_id_of(info: bytes) -> str:
    """``video_id`` of a sample's JSON, found in its text.

    Inside a string the quotes would be escaped, so what is found is the field.
    """
    found = _VIDEO.search(info)
    return found[1].decode() if found else json.loads(info)["video_id"]


def npy_bytes(array: np.ndarray) -> bytes:
    """An array as ``.npy`` of version 1.0."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def read_npy(data: bytes) -> np.ndarray:
    """An array from ``.npy`` bytes; never unpickles. Headers repeat, so they are parsed once.

    Raises:
        ValueError: if it is no plain array of version 1.0.
    """
    shape, dtype, at = _npy_header(data[:_NPY_HEADER])
    return np.frombuffer(data, dtype, offset=at).reshape(shape)


@lru_cache(256)
def _npy_header(head: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    file = io.BytesIO(head)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("only .npy of version 1.0 is read")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype.hasobject:
        raise ValueError("only plain arrays in C order are read")
    return shape, dtype, file.tell()
