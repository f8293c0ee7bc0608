"""``data/dataset.json``: a Croissant 1.1 description that the trainer can rely on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from fsh.schemas.errors import FshError, SpecMismatch
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import content_of, file_size, size_and_sha256
from fsh.schemas.places.temporary import replacing
from fsh.schemas.shards.croissant import CONTEXT, RAI, TYPES
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.versions import describe_columns

#: The clips table's path below the data folder.
_TABLE = DataFolder(Path()).clips.as_posix()
_SHARD = re.compile(r"shards/(train|val|test)/fsh-\1-\d{6,9}\.tar")
_REMEDY = "run `fsh shard` again"
#: Files that are looked at at the same time.
_AT_ONCE = 16
#: The layout of samples that this version writes (:mod:`fsh.schemas.shards.sample`). Cards of
#: before it was stored are of layout 1.
LAYOUT = 2


@dataclass(frozen=True)
class ShardInfo:
    """One shard: path below the data folder, samples, frames, bytes, hex SHA-256."""

    path: str
    split: str
    samples: int
    frames: int
    bytes: int
    sha256: str

    @classmethod
    def of_file(cls, file: dict) -> ShardInfo:
        """A shard from its entry in the card.

        Raises:
            ValueError, TypeError, KeyError: if it is none.
        """
        info = cls(
            path=file["contentUrl"],
            split=file["fsh:split"],
            samples=file["fsh:samples"],
            frames=file["fsh:frames"],
            bytes=int(file["contentSize"].removesuffix(" B")),
            sha256=file["sha256"],
        )
        place = _SHARD.fullmatch(info.path)
        if not place or place[1] != info.split:
            raise ValueError(f"not a shard of {info.split}: {info.path!r}")
        if not (isinstance(info.samples, int) and isinstance(info.frames, int)):
            raise TypeError(f"samples or frames of {info.path} are no numbers")
        return info

    def fault(self, root: Path) -> FshError | None:
        """What a look at the file's size shows: missing, or of another size than the card says."""
        path = root / self.path
        try:
            size = file_size(path)
        except OSError as error:
            return FshError(f"cannot be read ({error.strerror})", where=path, remedy=_REMEDY)
        if size is None:
            return FshError("this shard is missing", where=path, remedy=_REMEDY)
        if size != self.bytes:
            what = f"this shard has {size:,} bytes, the data set's card says {self.bytes:,}"
            return FshError(f"{what}: cut short or changed", where=path, remedy=_REMEDY)
        return None


def shard_faults(root: Path, shards: Iterable[ShardInfo]) -> list[tuple[ShardInfo, FshError]]:
    """The shards that are not there, or not as long as the card says, and what is wrong.

    Args:
        root: the data folder.
    """
    looked = list(shards)
    with ThreadPoolExecutor(_AT_ONCE) as threads:  # a store takes its time for each answer
        faults = threads.map(lambda shard: shard.fault(root), looked)
        return [(shard, fault) for shard, fault in zip(looked, faults, strict=True) if fault]


def require_shards(root: Path, shards: Iterable[ShardInfo]) -> None:
    """Check that shards are there and as long as the card says, before any work.

    Args:
        root: the data folder.

    Raises:
        FshError: naming the first that is not, and how many others there are.
    """
    faults = [fault for _, fault in shard_faults(root, shards)]
    if faults:
        more = f" (and {len(faults) - 1} more shards)" if len(faults) > 1 else ""
        raise FshError(faults[0].what + more, where=faults[0].where, remedy=faults[0].remedy)


@dataclass(frozen=True)
class DatasetCard:
    """What ``dataset.json`` says.

    Attributes:
        spec: how faces were cropped and landmarked.
        shards: every shard, in order of split and number.
        counts: videos, clips, identities and so on; numbers for people.
        seconds: of the videos: ``in``, which is ``kept`` and the seconds of each reject reason.
        made_with: versions and configuration: ``config_hash``, ``fsh``, ``backend`` …
        sha256: hex SHA-256 of the file it was read from; empty if it was not.
        table: bytes and hex SHA-256 of the clips table; None as long as it is not written.
        layout: version of the samples' layout; older ones are read.
    """

    spec: FaceSpec
    shards: tuple[ShardInfo, ...]
    counts: dict[str, int]
    made_with: dict[str, str]
    sha256: str = field(default="", compare=False)
    table: tuple[int, str] | None = field(default=None, compare=False)
    seconds: Mapping[str, float] = field(default_factory=dict)
    layout: int = LAYOUT

    def split(self, name: str) -> list[ShardInfo]:
        return [shard for shard in self.shards if shard.split == name]

    def write(self, path: Path, table: Path | None = None) -> None:
        """Write the card, and in it the size and hash of the clips table beside it.

        Args:
            table: the clips table, if it has not got its name yet.
        """
        table = table or path.parent / _TABLE
        known = None
        with suppress(FileNotFoundError):
            known = size_and_sha256(table)
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
            "fsh:layout": self.layout,
            "fsh:counts": self.counts,
            **({"fsh:seconds": dict(self.seconds)} if self.seconds else {}),
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
        FshError: if there is no data set here, or the card cannot be read, or a newer fsh
            wrote it.
        """
        try:
            content = content_of(path)
            data = json.loads(content)
            table, shards = None, []
            for file in data["distribution"]:
                if file["contentUrl"] == _TABLE:
                    table = int(file["contentSize"].removesuffix(" B")), str(file["sha256"])
                else:
                    shards.append(ShardInfo.of_file(file))
            spec = FaceSpec.from_json(data["fsh:spec"])
            sha256 = hashlib.sha256(content).hexdigest()
            counts, made_with = dict(data["fsh:counts"]), dict(data["fsh:madeWith"])
            seconds = dict(data.get("fsh:seconds") or {})
            layout = data.get("fsh:layout", 1)
            if not isinstance(layout, int):
                raise TypeError("the layout is no number")
            if layout > LAYOUT:
                what = f"written by a newer fsh (layout {layout} of samples, not {LAYOUT})"
                raise FshError(what, where=path, remedy="update fsh")
            return cls(spec, tuple(shards), counts, made_with, sha256, table, seconds, layout)
        except (FileNotFoundError, NotADirectoryError):
            raise FshError("no data set here", where=path, remedy="run `fsh shard` first") from None
        except OSError as error:
            raise FshError(f"cannot be read ({error.strerror or error})", where=path) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FshError(
                f"not a data set card ({error!r})", where=path, remedy=_REMEDY
            ) from error
        except SpecMismatch as error:
            raise FshError(error.what, where=path, remedy=_REMEDY) from error
