"""Interlaced video, as camcorders write it, and how much of it is left in pictures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from fixture_ffmpeg import binary

CODED = {
    "camera.ts": ["-c:v", "mpeg2video", "-field_order", "tt"],
    "camera.mp4": ["-c:v", "libx264", "-field_order", "tt"],
    "camera.avi": ["-c:v", "mpeg4"],  # only its pictures say it, as those of DV
}
#: What is recorded: a bar that moves, 50 pictures a second.
MOVES = (
    "color=gray:size=320x240:rate=50:duration=2[b];color=white:size=40x240:rate=50[w];"
    "[b][w]overlay=x='n*6-40':shortest=1"
)


def turned(path: Path, degrees: int) -> Path:
    """A copy that a player turns by so many degrees counter-clockwise."""
    copy = path.with_stem(f"{path.stem}-{degrees}")
    command = [binary(), "-v", "error", "-display_rotation:v", str(degrees), "-i", str(path)]
    subprocess.run([*command, "-c", "copy", str(copy)], check=True)
    return copy


def record(path: Path) -> Path:
    """Of 50 half pictures a second, as camcorders write them, 25 whole ones with combs."""
    graph = f"{MOVES},interlace=scan=tff,format=yuv420p"
    coded = [*CODED[path.name], "-flags", "+ilme+ildct", "-b:v", "4M"]
    made = ["-f", "lavfi", "-i", graph, *coded, str(path)]
    subprocess.run([binary(), "-v", "error", *made], check=True)
    return path


def combed(luma: np.ndarray) -> float:
    """By how much neighbouring rows differ more than those of one half picture."""
    rows = luma.astype(float)
    alone, same = np.abs(np.diff(rows, axis=0)).mean(), np.abs(rows[2:] - rows[:-2]).mean()
    return alone - same
