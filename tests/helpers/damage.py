"""Ways to damage a shard, each with what is left of the file."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from fsh.schemas.shards.sample import FRAMES, LANDMARKS, MESH, samples_in
from fsh.schemas.shards.tar import write_members


def zero_frames(path: Path, *, only: str = "", frame: int | None = None) -> int:
    """Overwrite JPEGs with zeros, those of samples whose key holds ``only``; how many.

    Args:
        frame: the number of the one frame of each; None: all of them.
    """
    content = bytearray(path.read_bytes())
    places = [
        place
        for sample in samples_in(bytes(content), path, closed=False)
        if only in sample.key
        for number, place in enumerate(sample.frame_places.tolist())
        if frame in (None, number)
    ]
    for at, size in places:
        content[at : at + size] = bytes(size)
    path.write_bytes(content)
    return len(places)


def _with_member(
    change: Callable[[str, bytes], tuple[str, bytes] | None],
) -> Callable[[bytes], bytes]:
    """Damage that changes or drops the first member for which ``change`` gives another one."""

    def damage(content: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            parts = [(m.name, archive.extractfile(m).read()) for m in archive.getmembers()]
        for index, (name, data) in enumerate(parts):
            if (changed := change(name, data)) != (name, data):
                parts[index : index + 1] = [changed] if changed else []
                break
        file = io.BytesIO()
        write_members(file, parts, end=True)
        return file.getvalue()

    return damage


def _replaced(suffix: str, data: bytes) -> Callable[[bytes], bytes]:
    return _with_member(lambda name, old: (name, data if name.endswith(suffix) else old))


#: Takes the mesh from the first sample that has one.
without_mesh = _with_member(lambda name, data: None if name.endswith(MESH) else (name, data))


def _other_shape(name: str, data: bytes) -> tuple[str, bytes]:
    return name, data.replace(b"68, 2", b"34, 4") if name.endswith(LANDMARKS) else data


#: Name to damage; each is read as far as its JSON or landmarks by every reader.
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeroed": lambda content: bytes(len(content)),
    "zeroed inside": lambda content: content[:512] + bytes(len(content) - 512),
    "noise": lambda content: b"no tar at all " * (len(content) // 14),
    "a flipped name": lambda content: b"X" + content[1:],
    "without landmarks": _with_member(
        lambda name, data: None if name.endswith(LANDMARKS) else (name, data)
    ),
    "without frames": _with_member(
        lambda name, data: None if name.endswith(FRAMES) else (name, data)
    ),
    "without the last frame's end": _with_member(
        lambda name, data: (name, data[:-9]) if name.endswith(FRAMES) else (name, data)
    ),
    "JSON that is none": _replaced(".json", b'{"clip_id": '),
    "JSON of another kind": _replaced(".json", b"[1, 2]"),
    "JSON without fields": _replaced(".json", b"{}"),
    "landmarks that are none": _replaced(LANDMARKS, b"no numbers at all"),
    "landmarks of another shape": _with_member(_other_shape),
}
