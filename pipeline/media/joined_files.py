"""Whether a file holds another recording behind its own end, where no player looks for it.

One file appended to another is a longer one in some containers, and in others all but the first is
out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

#: Bytes that such a container begins with, which are in it only once, by libavformat's names.
_HEADS = {"flv": 13, "asf": 16, "mxf": 14, "nut": 25, "ivf": 12, "yuv4mpegpipe": 10}
_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_BLOCK = 2**20
_MOST_BOXES = 100_000


def holds_another(path: Path, container: str) -> bool:
    """Whether another recording begins behind the one that is read.

    Args:
        container: libavformat's name of the file's container.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        if container == _MP4:
            kinds = [kind for kind in _boxes(file) if kind in (b"moov", b"moof")]
            return kinds.count(b"moov") > 1 and b"moof" not in kinds
        length = _HEADS.get(container)
        return length is not None and _is_repeated(file, file.read(length))


def _boxes(file: IO[bytes]) -> Iterator[bytes]:
    """The kinds of the boxes that a file in boxes consists of, as far as they are whole."""
    size, place = file.seek(0, 2), 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return
        length, kind, least = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, least = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:  # to the end
            length = size - place
        if length < least or place + length > size:
            return
        yield kind
        place += length


def _is_repeated(file: IO[bytes], head: bytes) -> bool:
    """Whether a file's head is found once more in what follows."""
    rest = b""
    while block := file.read(_BLOCK):
        if head in rest + block:
            return True
        rest = block[1 - len(head) :]
    return False
