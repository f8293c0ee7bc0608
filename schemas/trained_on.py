"""Whom a training run saw: the faces of its training split, so that they are recognised later.

``fsh evaluate`` promises people never trained on and looks here whether that is so. The file is in
the run's folder (:attr:`fsh.schemas.places.run_layout.RunFolder.trained_on`), is written before the
first step and only grows, because networks do not forget. It holds face embeddings, which are
biometric data: ``fsh forget`` takes the rows of erased videos and people out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fsh.schemas.errors import FshError
from fsh.schemas.places.temporary import TEMPORARY, replacing
from fsh.schemas.tables.records import IdentityOrigin
from fsh.schemas.tables.rows import rows_of

_FACES = pa.schema(
    [
        ("video_id", pa.string()),
        ("identity", pa.string()),
        ("labeled", pa.bool_()),
        ("embedding", pa.list_(pa.float32())),
    ]
)
_DATASETS = b"datasets"


@dataclass(frozen=True, eq=False)
class TrainedFace:
    """One person in one video that was trained on.

    Attributes:
        video_id: of the video.
        identity: who it is, as the data set has it; empty if that is not known.
        labeled: whether the identity is a label of the user's, not a name that fsh made up.
        embedding: float32 (128,), mean over the clips; None if there is none.
    """

    video_id: str
    identity: str
    labeled: bool
    embedding: np.ndarray | None


@dataclass(frozen=True, eq=False)
class TrainedOn:
    """All faces that a run was trained on.

    Attributes:
        faces: one per video and identity.
        datasets: SHA-256 of every ``dataset.json`` whose faces are here. Those of a run that was
            begun by an older fsh, or whose file was lost, are fewer than the run's own.
    """

    faces: tuple[TrainedFace, ...] = ()
    datasets: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> TrainedOn | None:
        """None if there is no file: the run was trained by an older fsh.

        Raises:
            FshError: if the file is damaged.
        """
        try:
            with path.open("rb") as file:
                table = pq.read_table(file)
            rows = table.select(_FACES.names).cast(_FACES).to_pylist()
            datasets = json.loads((table.schema.metadata or {})[_DATASETS])
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise FshError(
                f"whom the run was trained on cannot be read ({error})",
                where=path,
                remedy="move this file away; then only the run's videos are known, not its people",
            ) from error
        return cls(tuple(map(_face, rows)), tuple(map(str, datasets)))

    def write(self, path: Path) -> None:
        """Write the file; the same faces, the same bytes."""
        rows = [
            {
                "video_id": face.video_id,
                "identity": face.identity,
                "labeled": face.labeled,
                "embedding": None if face.embedding is None else face.embedding.tolist(),
            }
            for face in sorted(self.faces, key=lambda face: (face.video_id, face.identity))
        ]
        schema = _FACES.with_metadata({_DATASETS: json.dumps(list(self.datasets)).encode()})
        with replacing(path) as temporary:
            pq.write_table(pa.Table.from_pylist(rows, schema), temporary, compression="zstd")

    def joined(self, other: TrainedOn) -> TrainedOn:
        """These faces and another's, which replace those of the same video and identity."""
        faces = {(face.video_id, face.identity): face for face in (*self.faces, *other.faces)}
        datasets = dict.fromkeys([*self.datasets, *other.datasets])
        return TrainedOn(tuple(faces.values()), tuple(datasets))

    def without(self, erased: Callable[[TrainedFace], bool]) -> TrainedOn:
        """Those that are not erased."""
        return TrainedOn(tuple(face for face in self.faces if not erased(face)), self.datasets)


def trained_faces(clips: pa.Table, split: str = "train") -> tuple[TrainedFace, ...]:
    """The faces of a split, one per video and identity, from a table of clips."""
    columns = ["video_id", "identity", "identity_from", "kept", "split", "embedding"]
    groups: dict[tuple[str, str], list[np.ndarray | None]] = {}
    origins: dict[tuple[str, str], str] = {}
    for row in rows_of(clips.select(columns)):
        if row["kept"] and row["split"] == split:
            who = row["video_id"], row["identity"] or ""
            groups.setdefault(who, []).append(row["embedding"])
            origins[who] = row["identity_from"] or ""
    return tuple(
        TrainedFace(video, identity, is_label(identity, origins[video, identity]), mean)
        for (video, identity), embeddings in groups.items()
        for mean in [mean_embedding(embeddings)]
    )


def is_label(identity: str, origin: str | IdentityOrigin | None) -> bool:
    """Whether an identity is a label of the user's: also of a face that a cluster named so."""
    made_up = origin != IdentityOrigin.LABEL and identity.startswith("id-")
    return bool(identity and origin) and not made_up


def mean_embedding(embeddings: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The mean of those that there are, float32 (128,); None if there is none."""
    there = [one for one in embeddings if one is not None and np.isfinite(one).all()]
    return np.mean(there, axis=0).astype(np.float32) if there else None


def leftovers(path: Path) -> Iterable[Path]:
    """What a kill left of a :meth:`TrainedOn.write`."""
    return path.parent.glob(TEMPORARY.replace("*", f"{path.stem}-*", 1))


def _face(row: dict) -> TrainedFace:
    vector = row["embedding"]
    embedding = None if vector is None else np.array(vector, np.float32)
    return TrainedFace(row["video_id"], row["identity"] or "", bool(row["labeled"]), embedding)
