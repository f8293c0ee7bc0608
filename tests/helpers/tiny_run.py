"""A configuration small enough for a training run inside a unit test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tiny_data import write_data

from fsh.schemas.places.layout import DataFolder
from fsh.trainer.config import NetworkConfig, TrainConfig
from fsh.trainer.presets import resolve

TINY = NetworkConfig(32, 4, 4, 4, 8, 8, downs=2, residuals=1, attention=False)


def tiny_config(**changes) -> TrainConfig:
    base = replace(resolve("nano", "cpu", steps=6), network=TINY, batch=2, frames=2)
    return replace(base, **{"perceptual": "off", **changes})


def tiny_folder(root: Path, **options) -> DataFolder:
    return write_data(root, **{"people": 3, "samples": 2, "frames": 6, "shards": 2, **options})


class Told:
    """A Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps = 0.0

    def start(self, what: str, total: float | None, unit: str, done: float = 0) -> None:
        self.steps = done

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.steps += amount

    def say(self, line: str) -> None:
        self.lines.append(line)

    def stop(self) -> None: ...
