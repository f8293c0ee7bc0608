"""Where runs, evaluations and people are on disk. Nothing else in fsh joins these names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fsh.schemas.places.layout import LOCK_SUFFIX


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A training run's folder, ``runs/<name>``."""

    root: Path

    @classmethod
    def of(cls, path: Path) -> Self:
        """The run that is meant by the path to it, or to one of its checkpoints."""
        checkpoints = path.resolve().parent
        run = cls(checkpoints.parent)
        is_its = run.checkpoints == checkpoints and (path / CHECKPOINT_STATE).is_file()
        return run if is_its else cls(path)

    @property
    def lock(self) -> Path:
        """The file that ``fsh train`` holds while it works here."""
        return self.root / f".train{LOCK_SUFFIX}"

    @property
    def config(self) -> Path:
        """JSON: the configuration, and the sign that this folder is a run."""
        return self.root / "config.json"

    @property
    def metrics(self) -> Path:
        """JSON lines: every step's losses."""
        return self.root / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:08d}"

    @property
    def samples(self) -> Path:
        """The folder of sample sheets."""
        return self.root / "samples"

    def sample_sheet(self, step: int) -> Path:
        return self.samples / f"step-{step:08d}.png"

    @property
    def evaluation(self) -> Path:
        """Where ``fsh evaluate`` writes by default."""
        return self.root / "evaluation"

    @property
    def pictures(self) -> Path:
        """JSON per folder of pictures: whom they show (:mod:`fsh.schemas.run_pictures`)."""
        return self.root / "shown"

    @property
    def trained_on(self) -> Path:
        """Parquet: whom the run saw, with face embeddings (:mod:`fsh.schemas.trained_on`)."""
        return self.root / "trained_on.parquet"

    @property
    def readme(self) -> Path:
        """Markdown: the model card."""
        return self.root / "README.md"


def checkpoint_step(folder: Path) -> int | None:
    """The step in a checkpoint folder's name; None if this is no name of one."""
    match = re.fullmatch(r"step-(\d{8})", folder.name)
    return int(match[1]) if match else None


#: Files of one checkpoint's folder.
CHECKPOINT_STATE = "state.json"
NETWORKS, AVERAGE = "networks.safetensors", "average.safetensors"
COLUMNS, OPTIMIZERS = "columns.safetensors", "optimizers.safetensors"
RANDOM_STATE = "random.safetensors"


@dataclass(frozen=True, slots=True)
class EvaluationFolder:
    """Where ``fsh evaluate`` writes."""

    root: Path

    @property
    def cells(self) -> Path:
        """NPZ, ``<protocol>/T<shots>/*``: drawings of one person by one system, measured."""
        return self.root / "cells"

    @property
    def strips(self) -> Path:
        """PNG, ``<protocol>-*``: one person as every system draws them."""
        return self.root / "strips"

    def report(self, protocol: str, kind: str) -> Path:
        """Table or page; ``kind`` is ``json``, ``md`` or ``html``."""
        return self.root / f"{protocol}.{kind}"


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Where ``fsh evaluate --user-study`` writes: the page that asks, and the answers to it."""

    root: Path

    @property
    def page(self) -> Path:
        return self.root / "study.html"

    @property
    def key(self) -> Path:
        return self.root / "key.json"


@dataclass(frozen=True, slots=True)
class PersonFolder:
    """A person's folder, ``people/<name>``."""

    root: Path

    @property
    def card(self) -> Path:
        """JSON: what the person is made of, and the sign that this folder is a person's."""
        return self.root / PERSON_CARD

    @property
    def preview(self) -> Path:
        """PNG: photos, landmarks, drawings."""
        return self.root / "preview.png"

    @property
    def readme(self) -> Path:
        """Markdown: the model card."""
        return self.root / "README.md"


#: What makes a folder a person's, and the other files that are read to draw one.
PERSON_CARD = "person.json"
PERSON_GENERATOR, PERSON_TENSORS = "generator.safetensors", "person.safetensors"
PERSON_REFERENCES = "references.safetensors"
