"""What was erased on request and must not come back: salted hashes, which name nobody.

The file is also the plan of an erasure that is under way. It is written first, and everything else
that ``fsh forget`` does follows from it, so after a kill at any moment the same command finishes
what is left to do.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import file_error
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import content_of
from fsh.schemas.places.temporary import replacing
from fsh.schemas.plain import from_plain
from fsh.schemas.tables.records import Source


@dataclass(frozen=True)
class PinnedAssignments:
    """Identities and splits of clips, kept as they were before an erasure. Usually empty.

    Attributes:
        names: clip id → [identity, where it comes from].
        splits: identity → split.
        shards: split → the least number of shards that it is divided into.
    """

    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    shards: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Stored:
    """The file's own form."""

    salt: str
    erased: list[str]
    held: PinnedAssignments


@dataclass(frozen=True)
class Tombstones:
    """Hashes of what was erased.

    Attributes:
        salt: of this data folder, 32 hex digits; empty as long as nothing was erased.
        marks: hex HMAC-SHA-256 with the salt as key, one per source, content, video and person.
        pinned: what the erasures would have changed of other people's clips.
    """

    salt: str = ""
    marks: frozenset[str] = frozenset()
    pinned: PinnedAssignments = field(default_factory=PinnedAssignments)

    @classmethod
    def read(cls, data: DataFolder) -> Tombstones:
        """A data folder's tombstones; none if nothing was ever erased in it.

        Raises:
            FshError: if they cannot be read: whoever was erased must not come back unnoticed.
        """
        path = data.tombstones
        try:
            known = from_plain(_Stored, json.loads(content_of(path)))
            bytes.fromhex(known.salt)
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise file_error(error, path) from error
        except (ValueError, RecursionError) as error:
            raise FshError(
                f"the record of what was erased is damaged ({error})",
                where=path,
                remedy="put back a copy of it from a backup; nothing is done without it",
            ) from error
        return cls(known.salt, frozenset(known.erased), known.held)

    def covers(
        self, *, key: str = "", sha256: str = "", identity: str = "", video: str = ""
    ) -> bool:
        """Whether a source, a file's content, a person or a video was erased.

        Args:
            key: which video a URL or path names (:func:`fsh.schemas.urls.source_key`).
            sha256: hex SHA-256 of a file.
            identity: a person's label.
            video: a video's id.
        """
        if not self.marks:
            return False
        return not self.marks.isdisjoint(self._marks(key, sha256, identity, video))

    def covers_source(self, source: Source) -> bool:
        """Whether anything that is known of a source was erased: URL, content, person or video."""
        return bool(self.marks) and self.covers(
            key=source.key,
            sha256=source.sha256,
            identity=source.identity,
            video=source.video_id,
        )

    def spared(self, sources: Sequence[Source]) -> list[Source]:
        """The sources that are left: those of a video go if any source of the video was erased."""
        erased = {source.video_id for source in sources if self.covers_source(source)}
        return [source for source in sources if source.video_id not in erased]

    def adding(
        self, *, key: str = "", sha256: str = "", identity: str = "", video: str = ""
    ) -> Tombstones:
        """These and one erasure more, named as for :meth:`covers`."""
        salted = self if self.salt else replace(self, salt=secrets.token_hex(16))
        new = salted._marks(key, sha256, identity, video)
        return replace(salted, marks=salted.marks | frozenset(new))

    def write(self, data: DataFolder) -> None:
        body = {"salt": self.salt, "erased": sorted(self.marks), "held": asdict(self.pinned)}
        with replacing(data.tombstones) as temporary:
            temporary.write_text(json.dumps(body, indent=0, sort_keys=True) + "\n")

    def scrubbed(self, source: Source) -> Source:
        """A source without anything that names it, if it was refused because it was erased."""
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
            labels="",
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
