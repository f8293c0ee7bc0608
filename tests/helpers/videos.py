"""Small videos for the tests: a public-domain portrait that moves, written by the real ffmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from fixture_ffmpeg import binary

from fsh.pipeline.media.probe import probe
from fsh.schemas.ids import content_id, file_sha256
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.columns import SOURCES
from fsh.schemas.tables.parquet import to_table, write_table


@lru_cache(maxsize=4)
def portrait(mirrored: bool = False) -> np.ndarray:
    """Face and shoulders, uint8 (320, 320, 3) RGB; the face box is about 110 px wide."""
    from skimage.data import astronaut

    image = astronaut()[:320, 60:380]
    return np.ascontiguousarray(image[:, ::-1] if mirrored else image)


def moving(
    seconds: float, *, fps: float = 25, size: tuple[int, int] = (360, 320), mirrored: bool = False
) -> list[np.ndarray]:
    """Frames (height, width, 3) of the portrait swaying gently; no two are alike."""
    width, height = size
    frames = []
    for i in range(round(seconds * fps)):
        angle = 2 * np.pi * i / fps / 2
        matrix = np.float32([[1, 0, (width - 320) / 2 + 8 * np.sin(angle)], [0, 1, 3 * i / fps]])
        frames.append(
            cv2.warpAffine(
                portrait(mirrored), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
            )
        )
    return frames


def write_video(
    path: Path, frames: Iterable[np.ndarray], *, fps: float = 25, options: Iterable[str] = ()
) -> Path:
    """Encode RGB frames; ``options`` go between input and output."""
    frames = list(frames)
    height, width = frames[0].shape[:2]
    command = [binary(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", str(fps), "-i", "-", *options]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p"]
    data = b"".join(np.ascontiguousarray(frame).tobytes() for frame in frames)
    subprocess.run([*command, str(path)], input=data, check=True)
    return path


def ingest(root: Path, videos: dict[Path, str]) -> DataFolder:
    """A data folder that holds these videos, with their identity labels."""
    data = DataFolder(root)
    data.videos.mkdir(parents=True, exist_ok=True)
    rows = []
    for path, identity in videos.items():
        sha256 = file_sha256(path)
        stored = data.videos / f"{content_id(sha256)}{path.suffix}"
        stored.write_bytes(path.read_bytes())
        rows.append(
            {
                "request_id": path.stem,
                "url": str(path),
                "video_id": content_id(sha256),
                "identity": identity,
                "state": "stored",
                "uploader": "",
                "path": str(stored.relative_to(root)),
                "sha256": sha256,
                "duration": duration_of(path),
            }
        )
    write_table(to_table(rows, SOURCES), data.sources, SOURCES)
    return data


def duration_of(path: Path) -> float:
    try:
        return probe(path).duration
    except Exception:  # a file that is no video at all is a test case too
        return 1.0
