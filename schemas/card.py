"""``data/dataset.json``: a Croissant 1.1 description that the trainer can rely on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from fsh.schemas.croissant import CONTEXT, RAI, TYPES
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.layout import DataFolder, replacing
from fsh.schemas.spec import FaceSpec
from fsh.schemas.tables import CLIPS, describe_columns

#: The clips table's path below the data folder.
_TABLE = DataFolder(Path()).clips.as_posix()


@dataclass(frozen=True)
class ShardInfo:
    """One shard: path below the data folder, samples, frames, bytes, hex SHA-256."""

    path: str
    split: str
    samples: int
    frames: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class DatasetCard:
    """What ``dataset.json`` says.

    Attributes:
        spec: how faces were cropped and landmarked.
        shards: every shard, in order of split and number.
        counts: videos, clips, identities and so on; numbers for people.
        made_with: versions and configuration: ``config_hash``, ``fsh``, ``backend`` …
        sha256: hex SHA-256 of the file it was read from; empty if it was not.
        table: bytes and hex SHA-256 of the clips table; None as long as it is not written.
    """

    spec: FaceSpec
    shards: tuple[ShardInfo, ...]
    counts: dict[str, int]
    made_with: dict[str, str]
    sha256: str = field(default="", compare=False)
    table: tuple[int, str] | None = field(default=None, compare=False)

    def split(self, name: str) -> list[ShardInfo]:
        return [shard for shard in self.shards if shard.split == name]

    def write(self, path: Path, table: Path | None = None) -> None:
        """Write the card, and in it the size and hash of the clips table beside it.

        Args:
            table: the clips table, if it has not got its name yet.
        """
        table = table or path.parent / _TABLE
        known = (table.stat().st_size, file_sha256(table)) if table.is_file() else None
        text = json.dumps(replace(self, table=known).to_json(), indent=1, sort_keys=True)
        with replacing(path) as temporary:
            temporary.write_text(text + "\n")

    def to_json(self) -> dict:
        files = [
            {
                "@type": "cr:FileObject",
                "@id": shard.path,
                "name": Path(shard.path).name,
                "contentUrl": shard.path,
                "contentSize": f"{shard.bytes} B",
                "encodingFormat": "application/x-tar",
                "sha256": shard.sha256,
                "fsh:split": shard.split,
                "fsh:samples": shard.samples,
                "fsh:frames": shard.frames,
            }
            for shard in self.shards
        ]
        return {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": [
                "http://mlcommons.org/croissant/1.1",
                "http://mlcommons.org/croissant/RAI/1.0",
            ],
            "name": "fsh-talking-heads",
            "description": "Face-cropped, landmark-annotated clips of talking people, "
            "as WebDataset shards.",
            "license": "per video: column license of sources/sources.parquet; unknown is unknown",
            "distribution": files + self._table_file(),
            "recordSet": self._records(),
            **{f"rai:{name}": text for name, text in RAI.items()},
            "fsh:spec": self.spec.to_json(),
            "fsh:counts": self.counts,
            "fsh:madeWith": self.made_with,
        }

    def _table_file(self) -> list[dict]:
        if self.table is None:
            return []
        size, sha256 = self.table
        return [
            {
                "@type": "cr:FileObject",
                "@id": _TABLE,
                "name": "clips.parquet",
                "description": "one row per face track, kept or rejected",
                "contentUrl": _TABLE,
                "contentSize": f"{size} B",
                "encodingFormat": "application/x-parquet",
                "sha256": sha256,
            }
        ]

    def _records(self) -> list[dict]:
        """The clips table's columns as Croissant fields."""
        if self.table is None:
            return []
        fields = []
        for name, kind, text in describe_columns(CLIPS):
            listed = kind.startswith("list")
            one = {
                "@type": "cr:Field",
                "@id": f"clips/{name}",
                "name": name,
                "description": text,
                "dataType": TYPES["float" if listed else kind],
                "source": {"fileObject": {"@id": _TABLE}, "extract": {"column": name}},
            }
            fields.append(one | ({"isArray": True, "arrayShape": "128"} if listed else {}))
        return [{"@type": "cr:RecordSet", "@id": "clips", "name": "clips", "field": fields}]

    @classmethod
    def read(cls, path: Path) -> DatasetCard:
        """Raises:
        FshError: if there is no data set here, or the card cannot be read.
        """
        try:
            content = path.read_bytes()
            data = json.loads(content)
            shards = tuple(
                ShardInfo(
                    path=file["contentUrl"],
                    split=file["fsh:split"],
                    samples=file["fsh:samples"],
                    frames=file["fsh:frames"],
                    bytes=int(file["contentSize"].split()[0]),
                    sha256=file["sha256"],
                )
                for file in data["distribution"]
                if file["contentUrl"] != _TABLE
            )
            spec = FaceSpec.from_json(data["fsh:spec"])
            sha256 = hashlib.sha256(content).hexdigest()
            return cls(spec, shards, data["fsh:counts"], data["fsh:madeWith"], sha256)
        except FileNotFoundError:
            raise FshError("no data set here", where=path, remedy="run `fsh shard` first") from None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise FshError(
                f"not a data set card ({error!r})", where=path, remedy="run `fsh shard` again"
            ) from error
