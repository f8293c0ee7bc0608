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

from fsh.schemas.layout import DataFolder, replacing
from fsh.schemas.records import Source


@dataclass(frozen=True)
class PinnedAssignments:
    """Who is who and where, kept as it was before an erasure. Usually empty.

    Attributes:
        names: clip id to [identity, where from].
        splits: identity to split.
        shards: split to its least number of shards.
    """

    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    shards: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tombstones:
    """Hashes of what was erased.

    Attributes:
        salt: of this data folder, 32 hex digits; empty as long as nothing was erased.
        marks: hex HMAC-SHA-256 under the salt, one per source, content, video and person.
        pinned: identities and splits of other clips that the erasures would have changed.
    """

    salt: str = ""
    marks: frozenset[str] = frozenset()
    pinned: PinnedAssignments = field(default_factory=PinnedAssignments)

    @classmethod
    def read(cls, data: DataFolder) -> Tombstones:
        try:
            known = json.loads(data.tombstones.read_text())
        except FileNotFoundError:
            return cls()
        return cls(known["salt"], frozenset(known["erased"]), PinnedAssignments(**known["held"]))

    def covers(
        self, *, key: str = "", sha256: str = "", identity: str = "", video: str = ""
    ) -> bool:
        """Whether a source, a file's content, a person or a video's id was erased."""
        if not self.marks:
            return False
        return not self.marks.isdisjoint(self._marks(key, sha256, identity, video))

    def covers_source(self, source: Source) -> bool:
        """Whether a requested source is of anything erased, by any name it has."""
        return bool(self.marks) and self.covers(
            key=source.key,
            sha256=source.sha256,
            identity=source.identity,
            video=source.video_id,
        )

    def spared(self, sources: Sequence[Source]) -> list[Source]:
        """The sources whose video was not erased, by any name it has among them."""
        erased = {source.video_id for source in sources if self.covers_source(source)}
        return [source for source in sources if source.video_id not in erased]

    def adding(
        self, *, key: str = "", sha256: str = "", identity: str = "", video: str = ""
    ) -> Tombstones:
        """These and one erasure more. ``key``: :func:`~fsh.schemas.urls.source_key` of the URL."""
        salted = self if self.salt else replace(self, salt=secrets.token_hex(16))
        new = salted._marks(key, sha256, identity, video)
        return replace(salted, marks=salted.marks | frozenset(new))

    def add(self, data: DataFolder, **what: str) -> Tombstones:
        """:meth:`adding`, remembered on disk."""
        changed = self.adding(**what)
        changed.write(data)
        return changed

    def write(self, data: DataFolder) -> None:
        body = {"salt": self.salt, "erased": sorted(self.marks), "held": asdict(self.pinned)}
        with replacing(data.tombstones) as temporary:
            temporary.write_text(json.dumps(body, indent=0, sort_keys=True) + "\n")

    def scrubbed(self, source: Source) -> Source:
        """A source that a list asks for again after its erasure, without what it asks for."""
        if source.error_code != "erased" or source.url.startswith("erased:"):
            return source
        mark = self._mark("request", source.request_id)[:16]
        return replace(
            source,
            request_id=mark,
            url=f"erased:{mark}",
            identity="",
            bbox=None,
            bbox_width=None,
            bbox_height=None,
            start=None,
            end=None,
            license="unknown",
        )

    def _marks(self, key: str, sha256: str, identity: str, video: str) -> Iterable[str]:
        kinds = (("source", key), ("content", sha256), ("person", identity), ("video", video))
        for kind, value in kinds:
            if value:
                yield self._mark(kind, value)

    def _mark(self, kind: str, value: str) -> str:
        text = f"{kind}\0{value}".encode("utf-8", "surrogateescape")
        return hmac.new(bytes.fromhex(self.salt), text, hashlib.sha256).hexdigest()
