"""Where everything lies in a shard, found once and kept: from then on an episode is a few reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.sample import StoredSample, read_npy, read_samples, video_id_of

LANDMARKS = "landmarks.npy"


class Entry(NamedTuple):
    """One sample; about 1.3 KB in memory where it has 48 frames.

    Attributes:
        found: numbers of the frames that have landmarks, int16 (F,), F > 0.
        pictures: first byte and length of every frame's JPEG, int64 (N, 2).
        landmarks: the same of the landmarks' ``.npy``.
    """

    key: str
    video: str
    found: np.ndarray
    pictures: np.ndarray
    landmarks: tuple[int, int]


class Shard:
    """An open shard. Its file is closed when nobody holds it any more."""

    def __init__(self, path: str, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.file = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)

    def read(self, start: int, size: int) -> bytes:
        return os.pread(self.file, size, start)


class Index:
    """The entries of every shard opened so far; a file that changed is looked through anew."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[tuple[int, int], tuple[Entry, ...]]] = {}

    def open(self, path: str) -> Shard:
        """Raises:
        FshError: a shard that is missing, cut short or no tar, or a sample without its parts.
        """
        try:
            status = Path(path).stat()
            version = status.st_size, status.st_mtime_ns
            if path not in self.known or self.known[path][0] != version:
                found = (entry_of(sample, path) for sample in read_samples(path))
                self.known[path] = version, tuple(entry for entry in found if len(entry.found))
            return Shard(path, self.known[path][1])
        except OSError as error:
            remedy = "run `fsh shard` again"
            raise FshError(f"cannot be read ({error})", where=path, remedy=remedy) from error


def entry_of(sample: StoredSample, path: str) -> Entry:
    """Raises:
    FshError: if the sample lacks one of its files.
    """
    try:
        landmarks = read_npy(sample[LANDMARKS])
        names: Sequence[str] = [f"{i:03d}.jpg" for i in range(len(landmarks))]
        return Entry(
            key=sample.key,
            video=video_id_of(sample["json"]),
            found=np.flatnonzero(np.isfinite(landmarks).all((1, 2))).astype(np.int16),
            pictures=np.array([sample.places[name] for name in names], np.int64).reshape(-1, 2),
            landmarks=sample.places[LANDMARKS],
        )
    except KeyError as error:
        raise FshError(
            f"sample {sample.key} lacks {error}", where=path, remedy="run `fsh shard` again"
        ) from error
