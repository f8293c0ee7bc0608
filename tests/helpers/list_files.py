"""Files as users have them."""

from __future__ import annotations

from pathlib import Path


def write_file(folder: Path, name: str, text: str | bytes) -> str:
    """Write a file below a folder; its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)
