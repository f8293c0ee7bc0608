"""Names for videos, clips and samples, and hashes.

Names have no dots, no path characters and nothing from a title.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

_SAFE = re.compile(r"[A-Za-z0-9_-]{1,80}")


def is_safe(name: str) -> bool:
    return _SAFE.fullmatch(name) is not None


def youtube_id(key: str) -> str:
    """``yt-<id>`` for YouTube's 11-character id."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{11}", key):
        raise ValueError(f"not a YouTube id: {key!r}")
    return f"yt-{key}"


def range_id(key: str, start: float, end: float) -> str:
    """``yt-<id>-<start in ms>-<end in ms>``: a range of YouTube's video that is stored alone."""
    return f"{youtube_id(key)}-{round(start * 1000)}-{round(end * 1000)}"


def content_id(sha256: str) -> str:
    """``v-<first 16 hex digits>``: the id of a video known only by its bytes."""
    return f"v-{sha256[:16]}"


def clip_id(video_id: str, start: float, track: int) -> str:
    """``<video_id>_<start in ms, 8 digits>_<track, 2 digits>``; sorts by time within a video."""
    return f"{video_id}_{round(start * 1000):08d}_{track:02d}"


def video_of(clip: str) -> str:
    """The video's id in a clip's id."""
    return clip.rsplit("_", 2)[0]


def sample_key(clip: str, index: int) -> str:
    """``<clip_id>_<index, 4 digits>``: the WebDataset key of the index-th run of a clip."""
    return f"{clip}_{index:04d}"


def clip_of(key: str) -> str:
    """The clip's id in a sample's key."""
    return key.rsplit("_", 1)[0]


def stable_hash(text: str, salt: str = "") -> int:
    """A 64-bit number that is the same on every machine and in every process."""
    return int.from_bytes(hashlib.sha256(f"{salt}\0{text}".encode()).digest()[:8], "big")


def digest(value: object) -> str:
    """First 12 hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
