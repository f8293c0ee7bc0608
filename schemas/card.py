"""``data/dataset.json``: a Croissant 1.1 description that the trainer can rely on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.layout import replacing
from fsh.schemas.spec import FaceSpec

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "fsh": "https://pypi.org/project/fsh/#",
    "includes": "cr:includes",
    "md5": "cr:md5",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "sc": "https://schema.org/",
    "source": "cr:source",
}


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
    """

    spec: FaceSpec
    shards: tuple[ShardInfo, ...]
    counts: dict[str, int]
    made_with: dict[str, str]
    sha256: str = field(default="", compare=False)

    def split(self, name: str) -> list[ShardInfo]:
        return [shard for shard in self.shards if shard.split == name]

    def write(self, path: Path) -> None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1, sort_keys=True) + "\n")

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
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.1",
            "name": "fsh-talking-heads",
            "description": "Face-cropped, landmark-annotated clips of talking people, "
            "as WebDataset shards.",
            "distribution": files,
            "fsh:spec": self.spec.to_json(),
            "fsh:counts": self.counts,
            "fsh:madeWith": self.made_with,
        }

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
