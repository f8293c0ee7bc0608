"""Whether a file is a picture or a video, by its first bytes.

A name tells one thing alone: whether a JPEG is the first of many.
"""

from __future__ import annotations

from pathlib import Path

from fsh.pipeline.media.suffixes import VIDEO_SUFFIXES

PICTURE, VIDEO = "picture", "video"

_JPEG, _MOTION_JPEG = b"\xff\xd8\xff", (".mjpeg", ".mjpg")
_PICTURES = (
    *(_JPEG, b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0"),
    *(b"MM\0+", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
)
_VIDEOS = (
    *(b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"\0\0\x01\xba", b"\0\0\x01\xb3"),
    *(b"0&\xb2u\x8ef\xcf\x11", b"\x06\x0e+4\x02\x05\x01\x01", b".RMF\0\0\0", b"nut/multimedia"),
    *(b"\x1f\x07\0\x3f", b"\x1f\x07\0\xbf", b"YUV4MPEG2 ", b"DKIF\0\0", b"\x12\0\x0a"),
    # Pictures without a container: MPEG-4, H.264 with or without a delimiter, H.265, H.266.
    *(b"\0\0\1\xb0", b"\0\0\0\1\x67", b"\0\0\0\1\x27", b"\0\0\0\1\x09"),
    *(b"\0\0\0\1\x40\1", b"\0\0\0\1\x46\1", b"\0\0\0\1\0\xa1", b"\0\0\0\1\0\x79"),
)
#: Where packets of a transport stream begin, and how long they are: as broadcast, as cameras and
#: discs store it (``.MTS``), and with error correction.
_TRANSPORT = ((0, 188), (4, 192), (0, 204))
#: Of files in boxes, as MP4 is: what says that they are pictures.
_PICTURE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")


def media_kind(path: Path) -> str | None:
    """:data:`PICTURE`, :data:`VIDEO`, or None if it is neither, or cannot be read."""
    try:
        if not path.is_file():  # never a pipe, which would wait
            return None
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return None
    if head.startswith(_JPEG) and path.suffix.lower() in _MOTION_JPEG:
        return VIDEO
    if head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return PICTURE
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return PICTURE
    if head[4:8] == b"ftyp":
        return PICTURE if head[8:12] in _PICTURE_BRANDS else VIDEO
    if head.startswith(_VIDEOS) or (head[:4] == b"RIFF" and head[8:11] == b"AVI"):
        return VIDEO
    return VIDEO if any(_is_transport(head, *packets) for packets in _TRANSPORT) else None


def is_motion_jpeg(path: Path) -> bool:
    """Whether a file is JPEG pictures one after the other, by its name and its first bytes."""
    return path.suffix.lower() in _MOTION_JPEG and media_kind(path) == VIDEO


def _is_transport(head: bytes, first: int, length: int) -> bool:
    """Whether packets of a transport stream begin at a place, each of so many bytes."""
    return all(head[at : at + 1] == b"G" for at in (first, first + length, first + 2 * length))


def is_video(path: Path) -> bool:
    """Whether a file is a video by its content; by its name where that says nothing."""
    kind = media_kind(path)
    return kind == VIDEO or (kind is None and path.suffix.lower() in VIDEO_SUFFIXES)
