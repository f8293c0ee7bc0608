"""Which files can be signed, told by their content, and where their manifests lie."""

from __future__ import annotations

from pathlib import Path

from fsh.schemas.errors import FshError

#: Every JUMBF manifest store begins with this type.
STORE_TYPE = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x008\x9bq"
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}
#: How Matroska and WebM files begin; neither has a place for a manifest.
_EBML = b"\x1aE\xdf\xa3"
_BESIDE = frozenset({"video/x-matroska", "video/webm"})
#: The ending that is added to a file's name for the manifest that lies beside it.
MANIFEST_SUFFIX = ".c2pa"


def media_type(path: Path) -> str | None:
    """A file's type by its first bytes, such as ``image/png``; None if it cannot be signed.

    Raises:
        FshError: if the file cannot be read.
    """
    start = _first_bytes(path)
    if start[4:8] == b"ftyp":
        return "video/quicktime" if start[8:12] == b"qt  " else "video/mp4"
    if start.startswith(_EBML):
        return "video/webm" if b"webm" in start else "video/x-matroska"
    return next((kind for magic, kind in _SIGNATURES.items() if start.startswith(magic)), None)


def needs_manifest_beside(path: Path) -> bool:
    """Whether a file has no place for a manifest, by its content."""
    return media_type(path) in _BESIDE


def manifest_beside(path: Path) -> Path:
    """Where the manifest of a file lies that has no place for it: ``film.webm.c2pa``."""
    return path.with_name(path.name + MANIFEST_SUFFIX)


def remove_manifest_beside(path: Path) -> None:
    """Remove what an older file of this name was signed with."""
    beside = manifest_beside(path)
    if beside.is_file() and is_manifest_store(beside):
        beside.unlink()


def is_manifest_store(path: Path) -> bool:
    """Whether a file is a C2PA manifest and nothing else."""
    return STORE_TYPE in _first_bytes(path)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise FshError(f"cannot be read ({error.strerror})", where=path) from error
