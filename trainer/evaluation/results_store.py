"""One system's drawings of one subject and their measurements, as a file each (folder ``cells/``).

A file is written as soon as it is done, so that an evaluation that was stopped goes on.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fsh.schemas.places.temporary import replacing

#: Among the features, which are no distances' then: bool (N, 1), pictures of heads that are turned
#: away from every photo. Only in self-reenactment.
TURNED = "turned"


@dataclass
class SubjectResult:
    """What one system drew of one subject from T photos, and what was measured of it.

    Attributes:
        drawn: uint8 (N, H, H, 3).
        values: metric to its value per picture (N,), or one for all pictures (1,).
        features: what distances between sets are computed from, (N, D).
    """

    drawn: np.ndarray
    values: dict[str, np.ndarray]
    features: dict[str, np.ndarray]


def without_pictures(result: SubjectResult) -> SubjectResult:
    """A result without its pictures: at 256 px those of a whole evaluation are gigabytes."""
    return replace(result, drawn=result.drawn[:0])


def write_result(path: Path, result: SubjectResult, key: str) -> None:
    """Write a result as ``.npz``.

    Args:
        key: a hash of all that it depends on; see :func:`read_result`.
    """
    arrays: dict[str, Any] = {"drawn": result.drawn, "key": np.array(key)}
    arrays |= {f"value/{name}": array for name, array in result.values.items()}
    arrays |= {f"feature/{name}": array for name, array in result.features.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def has_result(path: Path, key: str) -> bool:
    """Whether a result with this key is there; its pictures are not read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return str(stored["key"]) == key
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


def read_result(path: Path, key: str) -> SubjectResult | None:
    """A finished result; None if there is none, or it has another key, or was cut short."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            arrays = {name: stored[name] for name in stored.files}
    except (FileNotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return SubjectResult(
        drawn=arrays["drawn"],
        values=_below(arrays, "value/"),
        features=_below(arrays, "feature/"),
    )


def read_pictures(path: Path) -> np.ndarray:
    """The pictures of a finished result alone, uint8 (N, H, H, 3)."""
    with np.load(path, allow_pickle=False) as stored:
        return stored["drawn"]


def _below(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
