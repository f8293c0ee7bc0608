"""What each command makes of a folder: the names of its files, and the sign that they are fsh's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import LOCK_SUFFIX, DataFolder
from fsh.schemas.places.run_layout import (
    CHECKPOINT_STATE,
    PERSON_CARD,
    PERSON_GENERATOR,
    PERSON_REFERENCES,
    PERSON_TENSORS,
)
from fsh.schemas.places.stores import file_size, is_remote, listing, store_of
from fsh.schemas.places.temporary import is_temporary
from fsh.schemas.run_pictures import PROTOCOLS

#: What file managers leave in every folder that somebody looked at.
LITTER = frozenset([".DS_Store", "Thumbs.db", "desktop.ini", ".directory"])


@dataclass(frozen=True)
class FolderKind:
    """What one command writes into a folder.

    Attributes:
        what: the folder, for messages.
        made: patterns of the files in it, relative, ``*`` within one name.
        markers: name of a JSON file to the keys that it has; one of them is in every such folder.
        unfinished: patterns of the files that may be there before the marker is.
        replaced: whether the folder is replaced as a whole; else files in it are, one by one, and
            files of the user's beside them stay.
    """

    what: str
    made: tuple[str, ...]
    markers: Mapping[str, tuple[str, ...]]
    unfinished: tuple[str, ...] = ()
    replaced: bool = True

    def is_marked(self, folder: Path) -> bool:
        """Whether the folder has the sign that this command made it."""
        return any(
            set(keys) <= set(_read_json(folder / name)) for name, keys in self.markers.items()
        )

    def foreign(self, folder: Path, patterns: Sequence[str]) -> Iterator[str]:
        """Relative paths of the files, and of empty folders, that fit none of the patterns."""
        for place, folders, names in os.walk(folder):
            folders.sort()
            parts = Path(place).relative_to(folder).parts
            if not folders and not names and parts and not _leads_to(parts, self.made):
                yield "/".join(parts)
            links = [name for name in folders if Path(place, name).is_symlink()]
            for name in [*sorted(names), *links]:
                own = name in LITTER or is_temporary(name) or name.endswith(LOCK_SUFFIX)
                if not own and not _fits((*parts, name), patterns):
                    yield "/".join((*parts, name))


def _fits(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    wanted = [pattern.split("/") for pattern in patterns]
    return any(len(one) == len(parts) and all(map(fnmatchcase, parts, one)) for one in wanted)


def _leads_to(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether files that fit a pattern may lie below a folder."""
    wanted = [pattern.split("/") for pattern in patterns]
    return any(len(one) > len(parts) and all(map(fnmatchcase, parts, one)) for one in wanted)


PERSON = FolderKind(
    "a person's folder",
    (PERSON_CARD, PERSON_GENERATOR, PERSON_TENSORS, PERSON_REFERENCES, "preview.png", "README.md"),
    {PERSON_CARD: ("format", "digest", "files")},
)
_CHECKPOINT_FILES = (CHECKPOINT_STATE, "*.safetensors")
#: A damaged one has to be replaced too: the names of its files are sign enough.
CHECKPOINT = FolderKind("a checkpoint", _CHECKPOINT_FILES, {}, _CHECKPOINT_FILES)
ONNX = FolderKind(
    "a person's ONNX files",
    ("generator.onnx", "embedder.onnx", "model.json"),
    {"model.json": ("networks", "opset", "spec")},
)
RUN = FolderKind(
    "a training run's folder",
    (
        *("config.json", "metrics.jsonl", "README.md", "checkpoints/*/*", "samples/step-*.png"),
        *("tensorboard/*", "shown/*.json", "trained_on.parquet"),
    ),
    {"config.json": ("preset", "network", "loss")},
    replaced=False,
)
_DRAWN = ("cells/*/T*/*", *(f"strips/*{protocol}-*" for protocol in PROTOCOLS), "study.html")
#: A user study may lie in the same folder.
EVALUATION = FolderKind(
    "an evaluation's folder",
    (
        *(*_DRAWN, "key.json"),
        *(f"{protocol}.{kind}" for protocol in PROTOCOLS for kind in ("json", "md", "html")),
    ),
    {
        **{f"{protocol}.json": ("results", "protocol") for protocol in PROTOCOLS},
        "key.json": ("study", "triplets"),
    },
    _DRAWN,
    replaced=False,
)

#: Kinds by the JSON file that holds a folder's checksums.
FOLDER_KINDS = {CHECKPOINT_STATE: CHECKPOINT, PERSON_CARD: PERSON}


def is_data_folder(data: DataFolder) -> bool:
    """Whether ``fsh ingest`` or ``fsh shard`` has worked here."""
    locks = (data.lock("ingest"), data.lock("shard"))
    signs = (data.sources, data.tombstones, data.rate_limits, *locks)
    if is_remote(data.root):  # where some of them are numbered
        own = tuple(sign.name for sign in (*signs, data.journals))
        begin = len(store_of(data.records)[1]) + 1
        made = any(name[begin:].startswith(own) for name in listing(data.records))
        return made or bool(listing(data.work)) or file_size(data.card) is not None
    journals = data.journals.is_dir() and any(data.journals.iterdir())
    card = _read_json(data.card)
    return journals or any(map(os.path.lexists, signs)) or "conformsTo" in card


def require_own_names(data: DataFolder) -> None:
    """Raises:
    FshError: if what fsh did not make has names that it would use in a data folder.
    """
    if not is_data_folder(data) and (used := _names_in_use(data)):
        raise FshError(
            f"holds {', '.join(used)}, which fsh did not make",
            where=data.root,
            remedy="name another --data, such as a new folder",
        )


def _names_in_use(data: DataFolder) -> list[str]:
    """Names that fsh would use in a folder, and that are there already, not empty."""
    own = (data.videos, data.records, data.clips.parent, data.work, data.shards)
    if is_remote(data.root):
        return [path.name for path in own if listing(path)]
    used = [path for path in own if path.is_dir() and _holds_anything(path)]
    used += [path for path in (*own, data.card) if path.is_file() or path.is_symlink()]
    return [path.name for path in used]


def _holds_anything(folder: Path) -> bool:
    """Whether there is more in it than what a command made that was stopped as it began."""
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        if links or any(not is_temporary(name) for name in names):
            return True
    return False


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty if the file is missing, damaged or something else."""
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
