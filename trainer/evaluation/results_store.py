"""Cells of an evaluation on disk: what one contender drew of one person, and its numbers."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fsh.schemas.layout import replacing


@dataclass
class Cell:
    """What one contender drew of one person from T photos, and what was measured of it.

    Attributes:
        drawn: uint8 (N, H, H, 3).
        values: metric to numbers per picture (N,), or one for all (1,).
        features: what distances between sets are made of, (N, D).
    """

    drawn: np.ndarray
    values: dict[str, np.ndarray]
    features: dict[str, np.ndarray]


def slim(cell: Cell) -> Cell:
    """A cell without its pictures: at 256 px those of a whole evaluation are gigabytes."""
    return replace(cell, drawn=cell.drawn[:0])


def write_cell(path: Path, cell: Cell, key: str) -> None:
    arrays: dict[str, Any] = {"drawn": cell.drawn, "key": np.array(key)}
    arrays |= {f"value/{name}": array for name, array in cell.values.items()}
    arrays |= {f"feature/{name}": array for name, array in cell.features.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_cell(path: Path, key: str) -> Cell | None:
    """A finished cell; None if there is none, or it was made of something else, or cut short."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            arrays = {name: stored[name] for name in stored.files}
    except (FileNotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Cell(
        drawn=arrays["drawn"],
        values={k[6:]: v for k, v in arrays.items() if k.startswith("value/")},
        features={k[8:]: v for k, v in arrays.items() if k.startswith("feature/")},
    )
