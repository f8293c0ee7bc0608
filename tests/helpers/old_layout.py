"""Samples in layout 1, as fsh wrote them before: every frame a member, no preview, no offsets."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fsh.schemas.shards.sample import FRAMES, INFO, PREVIEW, SOUND, StoredSample, samples_in
from fsh.schemas.shards.tar import write_members


def old_members(sample: StoredSample) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of a sample's members as layout 1 has them."""
    for extension in sample.places:
        if extension == INFO:
            info = sample.info
            old = replace(info, offsets=None, silent=None)
            yield f"{sample.key}.{INFO}", old.to_json()
        elif extension == FRAMES:
            for index in range(sample.frames):
                yield f"{sample.key}.{index:03d}.jpg", sample.frame(index)
        elif extension != PREVIEW and not (extension == SOUND and sample.info.silent):
            yield f"{sample.key}.{extension}", sample[extension]


def to_old_layout(path: Path, *, end: bool = True) -> None:
    """Rewrite a shard, or with ``end`` False a clip's own tar, in layout 1."""
    file = io.BytesIO()
    for sample in samples_in(path.read_bytes(), path, closed=end):
        write_members(file, old_members(sample), end=False)
    write_members(file, [], end=end)
    path.write_bytes(file.getvalue())
