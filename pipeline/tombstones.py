"""What was erased on request and must not come back: salted hashes, so that nobody stays named.

The file is also the intent of an erasure: it is written first, and everything else that
``fsh forget`` does follows from it, so a kill at any moment leaves nothing that the same command
would not finish.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fsh.pipeline.dataset.assignment import Held
from fsh.schemas import urls
from fsh.schemas.layout import DataFolder, replacing


@dataclass(frozen=True)
class Tombstones:
    """Hashes of what was erased.

    Attributes:
        salt: of this data folder, 32 hex digits; empty as long as nothing was erased.
        marks: hex HMAC-SHA-256 under the salt, one per source, content, video and person.
        held: names and places of other clips that the erasures would have changed.
    """

    salt: str = ""
    marks: frozenset[str] = frozenset()
    held: Held = field(default_factory=Held)

    @classmethod
    def read(cls, data: DataFolder) -> Tombstones:
        try:
            known = json.loads(data.tombstones.read_text())
        except FileNotFoundError:
            return cls()
        return cls(known["salt"], frozenset(known["erased"]), Held(**known["held"]))

    def covers(
        self, *, key: str = "", sha256: str = "", identity: str = "", video: str = ""
    ) -> bool:
        """Whether a source, a file's content, a person or a video's id was erased."""
        if not self.marks:
            return False
        return not self.marks.isdisjoint(self._marks(key, sha256, identity, video))

    def covers_row(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the sources table is of anything erased."""
        return bool(self.marks) and self.covers(
            key=urls.source_key(row["url"]),
            sha256=row["sha256"],
            identity=row["identity"],
            video=row["video_id"],
        )

    def spared(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The rows of the sources table whose video was not erased, by any name it has there."""
        erased = {row["video_id"] for row in rows if self.covers_row(row)}
        return [row for row in rows if row["video_id"] not in erased]

    def adding(
        self, *, key: str = "", sha256: str = "", identity: str = "", video: str = ""
    ) -> Tombstones:
        """These and one erasure more. ``key`` is :func:`urls.source_key` of the URL."""
        salted = self if self.salt else replace(self, salt=secrets.token_hex(16))
        new = salted._marks(key, sha256, identity, video)
        return replace(salted, marks=salted.marks | frozenset(new))

    def add(self, data: DataFolder, **what: str) -> Tombstones:
        """:meth:`adding`, remembered on disk."""
        changed = self.adding(**what)
        changed.write(data)
        return changed

    def write(self, data: DataFolder) -> None:
        body = {"salt": self.salt, "erased": sorted(self.marks), "held": asdict(self.held)}
        with replacing(data.tombstones) as temporary:
            temporary.write_text(json.dumps(body, indent=0, sort_keys=True) + "\n")

    def scrubbed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of the sources table that a list asks for again, without what it asks for."""
        if row["error_code"] != "erased" or row["url"].startswith("erased:"):
            return dict(row)
        mark = self._mark("request", row["request_id"])[:16]
        blank = {"identity": "", "bbox": None, "bbox_width": None, "bbox_height": None}
        blank |= {"start": None, "end": None, "license": "unknown"}
        return {**row, **blank, "request_id": mark, "url": f"erased:{mark}"}

    def _marks(self, key: str, sha256: str, identity: str, video: str) -> Iterable[str]:
        kinds = (("source", key), ("content", sha256), ("person", identity), ("video", video))
        for kind, value in kinds:
            if value:
                yield self._mark(kind, value)

    def _mark(self, kind: str, value: str) -> str:
        text = f"{kind}\0{value}".encode("utf-8", "surrogateescape")
        return hmac.new(bytes.fromhex(self.salt), text, hashlib.sha256).hexdigest()
