"""What a sample says about itself: the contents of its ``<key>.json``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from fsh.schemas.spec import FaceSpec

_VIDEO = re.compile(rb'"video_id":\s?"([^"\\]*)"')
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

    def to_json(self) -> bytes:
        data = {**asdict(self), "spec": self.spec.to_json()}
        if self.real is None:  # a sample of an older version stays as it was
            del data["real"]
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
