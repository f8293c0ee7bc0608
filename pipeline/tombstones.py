"""What was erased on request and must not come back: hashes only, so that nobody stays named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from fsh.schemas.layout import DataFolder, replacing


@dataclass(frozen=True)
class Tombstones:
    """Hashes of what was erased."""

    marks: frozenset[str] = frozenset()

    @classmethod
    def read(cls, data: DataFolder) -> Tombstones:
        try:
            return cls(frozenset(json.loads(data.tombstones.read_text())["erased"]))
        except FileNotFoundError:
            return cls()

    def covers(self, *, key: str = "", sha256: str = "", identity: str = "") -> bool:
        """Whether a source, a file's content or a person was erased."""
        return not self.marks.isdisjoint(_marks(key, sha256, identity))

    def add(
        self, data: DataFolder, *, key: str = "", sha256: str = "", identity: str = ""
    ) -> Tombstones:
        """Remember an erasure on disk. ``key`` is :func:`net_rules.source_key` of the URL."""
        marks = self.marks | set(_marks(key, sha256, identity))
        with replacing(data.tombstones) as temporary:
            temporary.write_text(json.dumps({"erased": sorted(marks)}, indent=0) + "\n")
        return Tombstones(frozenset(marks))


def _marks(key: str, sha256: str, identity: str) -> Iterable[str]:
    for kind, value in (("source", key), ("content", sha256), ("person", identity)):
        if value:
            yield hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "surrogateescape")).hexdigest()
