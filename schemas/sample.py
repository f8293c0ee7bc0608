"""One WebDataset sample: a run of at most 64 frames of one clip, as tar members.

Members of a sample, in this order::

    <key>.json             identity, times, fps, boxes, spec
    <key>.landmarks.npy    float32 (frames, 68, 2), crop pixels
    <key>.000.jpg …        one JPEG per frame
    <key>.flac             the run's sound, only if it was asked for
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import BinaryIO

import numpy as np

from fsh.schemas.spec import FaceSpec

MAX_FRAMES = 64


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


def frame_extension(index: int) -> str:
    """``"000.jpg"`` … ``"063.jpg"``: what WebDataset shows as the frame's field."""
    return f"{index:03d}.jpg"


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def sample_members(
    key: str, info: SampleInfo, landmarks: np.ndarray, jpegs: Iterable[bytes], audio: bytes = b""
) -> list[tuple[str, bytes]]:
    """The (name, bytes) pairs of one sample, in the order they are stored."""
    members = [
        (f"{key}.json", info.to_json()),
        (f"{key}.landmarks.npy", npy_bytes(landmarks.astype(np.float32))),
    ]
    members += [(f"{key}.{frame_extension(i)}", jpeg) for i, jpeg in enumerate(jpegs)]
    return members + ([(f"{key}.flac", audio)] if audio else [])


def write_members(file: BinaryIO, members: Iterable[tuple[str, bytes]], *, end: bool) -> None:
    """Append members to an open tar; the same members always give the same bytes.

    Args:
        end: whether to close the archive with its two zero blocks. Without them the bytes can
            be concatenated with others into one valid archive.
    """
    for name, data in members:
        head = tarfile.TarInfo(name)
        head.size, head.mtime, head.mode = len(data), 0, 0o444
        head.uname = head.gname = "fsh"
        file.write(head.tobuf(tarfile.USTAR_FORMAT))
        file.write(data)
        file.write(b"\0" * (-len(data) % tarfile.BLOCKSIZE))
    if end:
        file.write(b"\0" * (2 * tarfile.BLOCKSIZE))
