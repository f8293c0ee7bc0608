"""What a sample says about itself: the contents of its ``<key>.json``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

import numpy as np

from fsh.schemas.faces.spec import FaceSpec

_VIDEO = re.compile(rb'"video_id":\s?"([^"\\]*)"')
_OFFSETS = re.compile(rb'"offsets":\s?\[([0-9, ]*)\]')
_REAL = re.compile(rb'"real":\s?\[([^\]]*)\]')


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
        real: the part of the crops that shows the source: left, top, right, bottom edges in crop
            pixels; what lies outside is made up. None in samples of before it was stored.
        offsets: of each frame's JPEG the first byte in ``<key>.frames.mjpeg``, and last the byte
            after all of them. None in layout 1, where each frame is a member of its own.
        silent: True where sound was asked for and the video has none: the sound is silence. None
            elsewhere.
    """

    clip_id: str
    video_id: str
    identity: str
    fps: float
    times: list[float]
    boxes: list[list[float]]
    crop: list[float]
    spec: FaceSpec
    real: list[float] | None = None
    offsets: list[int] | None = None
    silent: bool | None = None

    def to_json(self) -> bytes:
        data = {**asdict(self), "spec": self.spec.to_json()}
        for name in ("real", "offsets", "silent"):
            if data[name] is None:  # a sample of an older version stays as it was
                del data[name]
        return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes | str) -> SampleInfo:
        """Raises:
        ValueError, TypeError, KeyError: if it is not a sample's JSON.
        SpecMismatch: if its specification was changed.
        """
        data = json.loads(text)
        info = cls(**{**data, "spec": FaceSpec.from_json(data["spec"])})
        names = (info.clip_id, info.video_id, info.identity)
        real = [0.0] * 4 if info.real is None else info.real
        lists = (info.times, info.boxes, info.crop, real)
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a name is no text")
        if not all(isinstance(values, list) for values in lists):
            raise TypeError("times, boxes, crop or real are no list")
        numbers = (info.fps, *info.times, *info.crop, *real)
        if info.offsets is not None and not isinstance(info.offsets, list):
            raise TypeError("offsets are no list")
        if len(real) != 4 or not all(isinstance(value, int | float) for value in numbers):
            raise TypeError("fps, times or crop are no numbers, or real not four")
        return info


def video_id_of(info: bytes) -> str:
    """``video_id`` of a sample's JSON, found in its text.

    Inside a string the quotes would be escaped, so what is found is the field.
    """
    found = _VIDEO.search(info)
    return found[1].decode() if found else json.loads(info)["video_id"]


def real_of(info: bytes) -> tuple[float, float, float, float] | None:
    """``real`` of a sample's JSON, found in its text; None where it is not stored.

    Raises:
        ValueError: if it is no four numbers.
    """
    found = _REAL.search(info)
    if found is None:
        return None
    left, top, right, bottom = (float(edge) for edge in found[1].split(b","))
    return left, top, right, bottom


def offsets_of(info: bytes) -> np.ndarray:
    """``offsets`` of a sample's JSON, found in its text: int64, empty where they are not stored.

    Raises:
        ValueError: if they are no whole numbers.
    """
    found = _OFFSETS.search(info)
    if found is None or not found[1].strip():
        return np.empty(0, np.int64)
    return np.array([int(edge) for edge in found[1].split(b",")], np.int64)
