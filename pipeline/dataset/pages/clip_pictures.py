"""A clip's pictures, landmarks and sound for a page that shows it, read from where they are stored.

Kept clips lie in a shard; rejected ones that were cropped lie in their own tar, as long as the
folder ``work/`` is there.
"""

from __future__ import annotations

import io
import json
import struct
import wave
from collections.abc import Sequence
from dataclasses import dataclass

import av
import cv2
import numpy as np
import simplejpeg

from fsh.schemas.errors import FshError
from fsh.schemas.ids import clip_of
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import is_remote, read_range
from fsh.schemas.shards.sample import SOUND, StoredSample, samples_in
from fsh.schemas.shards.tar import open_archive

_REMEDY = "run `fsh shard` again"
#: Side of a picture on a page that stands alone, pixels.
SIDE = 96


@dataclass(frozen=True)
class ClipPlace:
    """Where a clip is stored: its row's ``clip_id``, ``shard``, ``offset`` and ``bytes``."""

    clip_id: str
    shard: str | None = None
    offset: int | None = None
    bytes: int | None = None


def stored_samples(data: DataFolder, place: ClipPlace) -> list[StoredSample]:
    """A clip's samples, in their order; only what is looked at is read from disk.

    Raises:
        FshError: if it is stored nowhere, or is not where the table says.
    """
    if place.shard and place.offset is not None and place.bytes:
        path = data.root / place.shard
        if is_remote(path):
            archive = read_range(path, place.offset, place.bytes)
            samples = list(samples_in(archive, path, closed=False))
        else:
            part = {"begin": place.offset, "size": place.bytes}
            samples = list(samples_in(open_archive(path), path, closed=False, **part))
        if not samples or any(clip_of(sample.key) != place.clip_id for sample in samples):
            what = f"clip {place.clip_id} is not where the table says"
            raise FshError(what, where=path, remedy=_REMEDY)
        return samples
    tars = data.clip_tars(place.clip_id)
    if not tars:
        raise FshError("is in no shard", where=f"clip {place.clip_id}", remedy=_REMEDY)
    return list(samples_in(open_archive(tars[0]), tars[0], closed=False))


@dataclass(frozen=True)
class FilmStrip:
    """A few frames of a clip.

    Attributes:
        jpeg: the frames, :data:`SIDE` pixels each, side by side; empty if there are none.
        points: uint8 (frames × 68 × 2), landmarks in 255ths of the picture.
        times: seconds of each on the video's clock.
        damaged: frames that were wanted and cannot be decoded.
    """

    jpeg: bytes
    points: bytes
    times: list[float]
    damaged: int = 0


def film_strip(samples: Sequence[StoredSample], count: int) -> FilmStrip:
    """Evenly spaced frames of a clip.

    Raises:
        FshError: if landmarks or places of frames cannot be read.
    """
    places = [(sample, i) for sample in samples for i in range(len(sample.landmarks))]
    picks = np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int)
    pictures, points, times, damaged = [], [], [], 0
    for sample, i in (places[n] for n in dict.fromkeys(picks.tolist())):
        size = sample.info.spec.size
        least = min(SIDE, size)
        try:
            picture = simplejpeg.decode_jpeg(
                sample.frame(i), "RGB", min_height=least, min_width=least
            )
        except ValueError:
            damaged += 1
            continue
        pictures.append(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        points.append(np.nan_to_num((sample.landmarks[i] + 0.5) / size))
        times.append(sample.info.times[i])
    if not pictures:
        return FilmStrip(b"", b"", [], damaged)
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(np.hstack(pictures)), quality=78)
    steps = (np.array(points) * 255).round().clip(0, 255).astype(np.uint8)
    return FilmStrip(jpeg, steps.tobytes(), times, damaged)


def film_bytes(samples: Sequence[StoredSample], *, first: bool = False) -> bytes:
    """A clip's frames as the served page takes them.

    Four bytes, big-endian, say how long the JSON is that follows: ``times``, ``points`` (frames ×
    68 × 2, shares of the picture), ``offsets`` of the JPEGs after it, and ``sound``.

    Args:
        first: whether only the first frame is wanted.

    Raises:
        FshError: if something of it cannot be read.
    """
    frames = [(sample, i) for sample in samples for i in range(len(sample.landmarks))]
    frames = frames[:1] if first else frames
    jpegs = [sample.frame(i) for sample, i in frames]
    points = [(s.landmarks[i] + 0.5) / s.info.spec.size for s, i in frames]
    head = {
        "times": [sample.info.times[i] for sample, i in frames],
        "points": np.nan_to_num(np.array(points)).round(4).ravel().tolist(),
        "offsets": [0, *np.cumsum([len(jpeg) for jpeg in jpegs]).tolist()],
        "sound": has_sound(samples),
    }
    text = json.dumps(head).encode()
    return struct.pack(">I", len(text)) + text + b"".join(jpegs)


def has_sound(samples: Sequence[StoredSample]) -> bool:
    """Whether sound is stored with a clip."""
    return all(SOUND in sample.places and not sample.info.silent for sample in samples)


def sound_bytes(samples: Sequence[StoredSample]) -> bytes:
    """A clip's sound as one WAV file, mono, 16 bits.

    Raises:
        FshError: if there is none, or it cannot be decoded.
    """
    if not has_sound(samples):
        raise FshError("has no sound", where=f"sample {samples[0].key}")
    parts, rate = [], 0
    for sample in samples:
        try:
            with av.open(io.BytesIO(sample[SOUND]), "r", format="flac") as source:
                rate = rate or source.streams.audio[0].rate
                mono = av.AudioResampler("s16", "mono", rate)
                for frame in source.decode(audio=0):
                    parts += [part.to_ndarray().tobytes() for part in mono.resample(frame)]
        except (av.FFmpegError, IndexError) as error:
            raise sample.damaged(SOUND, f"cannot be decoded ({error})") from error
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"".join(parts))
    return file.getvalue()
