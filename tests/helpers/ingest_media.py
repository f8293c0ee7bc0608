"""Small media files of every kind that ingest meets, made with ffmpeg's own sources."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from fixture_ffmpeg import binary

from fsh.pipeline.media.probe import MediaFacts, probe


@functools.cache
def _encoders() -> str:
    command = [binary(), "-hide_banner", "-encoders"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def has_encoder(name: str) -> bool:
    return f" {name} " in _encoders()


def make(path: Path, *arguments: str, seconds: float = 1.0, size: str = "96x64") -> Path:
    """A moving test picture in ``path``'s container; ``arguments`` go before the file's name."""
    source = f"testsrc2=size={size}:rate=10:duration={seconds}"
    _run("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", *arguments, str(path))
    return path


def make_with_sound(path: Path, *arguments: str, seconds: float = 1.0) -> Path:
    _run(
        *("-f", "lavfi", "-i", f"testsrc2=size=96x64:rate=10:duration={seconds}"),
        *("-f", "lavfi", "-i", f"sine=duration={seconds}"),
        *("-pix_fmt", "yuv420p", *arguments, str(path)),
    )
    return path


def make_sound(path: Path, *arguments: str) -> Path:
    _run("-f", "lavfi", "-i", "sine=duration=1", *arguments, str(path))
    return path


def make_image(path: Path) -> Path:
    _run("-f", "lavfi", "-i", "testsrc2=size=96x64", "-frames:v", "1", str(path))
    return path


def remux(source: Path, path: Path, *arguments: str) -> Path:
    _run(*arguments, "-i", str(source), "-c", "copy", str(path))
    return path


def _run(*arguments: str) -> None:
    subprocess.run([binary(), "-v", "error", "-y", *arguments], check=True)


def probed(path: Path) -> MediaFacts:
    return probe(path)
