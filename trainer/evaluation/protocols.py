"""The protocols: who draws what for whom, what is measured, and the table of it.

``fsth`` is the paper's: self-reenactment of people never trained on, from T of 32 frames, compared
with 32 other frames of theirs. ``modern`` drives each person with another's consecutive frames,
as users do, where there is no true picture to compare with.

Every (identity, T, contender) is one cell, kept on disk as soon as it is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.trainer.evaluation import metrics as scores
from fsh.trainer.evaluation.baselines import resized
from fsh.trainer.evaluation.metric_networks import MetricNetwork
from fsh.trainer.evaluation.results_store import Cell, read_cell, slim, write_cell
from fsh.trainer.evaluation.subjects import Frames, Subject, shots_of
from fsh.trainer.evaluation.systems import Contender, Draw
from fsh.trainer.person.motion_transfer import adapt


@dataclass(frozen=True)
class Look:
    """What is seen in N pictures of a face, in the pixels of the data set's crop.

    Attributes:
        points: (N, 68, 2) landmarks found again.
        identities: name of an identity network to embeddings (N, D).
        pose: (N, 3) yaw, pitch, roll in degrees.
        expression: (N, E) openings of eyes and mouth and heights of brows, as shares.
    """

    points: np.ndarray
    identities: dict[str, np.ndarray]
    pose: np.ndarray
    expression: np.ndarray


class Watcher(Protocol):
    """Whoever can look at faces; the command line makes one from the pipeline's detectors.

    Attributes:
        backbones: name of an identity network to what it is, with its weights' hash.
        landmarks: the same of the landmark backend.
        missing: identity networks that are not here, and why.
    """

    backbones: dict[str, str]
    landmarks: str
    missing: dict[str, str]

    def look(self, pictures: np.ndarray, near: np.ndarray) -> Look:
        """Args:
        pictures: uint8 (N, H, H, 3), the whole crop at any size.
        near: (N, 68, 2) where the face should be, in the data set's crop pixels.
        """
        ...


@dataclass(frozen=True)
class Setting:
    """What an evaluation is made of besides people and contenders.

    Attributes:
        size: side of the pictures compared, pixels: the smallest that all can draw.
        folder: where cells are kept.
    """

    protocol: str
    size: int
    shots: tuple[int, ...]
    seed: int
    watcher: Watcher
    networks: dict[str, MetricNetwork]
    missing: dict[str, str]
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """Finished cells by (contender, T, identity), and the real ones by identity.

    Their pictures stay on disk: see :meth:`pictures`.
    """

    setting: Setting
    subjects: tuple[Subject, ...]
    contenders: tuple[str, ...]
    cells: dict[tuple[str, int, str], Cell]
    real: dict[str, Cell]

    def pictures(self, system: str, shots: int, identity: str) -> np.ndarray:
        """What a system drew, uint8 (N, H, H, 3); system ``real`` at T = 0: the true pictures."""
        with np.load(_path(self.setting, system, shots, identity), allow_pickle=False) as stored:
            return stored["drawn"]


def evaluate(
    subjects: Sequence[Subject],
    contenders: Sequence[Contender],
    settings: Sequence[Setting],
    progress: Progress,
) -> list[Outcome]:
    """Draw and measure whatever is not on disk yet; the same call goes on after a stop.

    Args:
        settings: one for each protocol, alike in all else: what a contender has learned from
            photos is drawn in all of them.

    Returns:
        One outcome for each setting.

    Raises:
        FshError: one identity in a protocol that wants two, or whatever a contender raises.
    """
    for setting in settings:
        if setting.protocol == "modern" and len(subjects) < 2:
            raise FshError(
                "one identity cannot drive another", remedy="evaluate more, or --protocol fsth"
            )
    names = tuple(contender.name for contender in contenders)
    outcomes = [Outcome(setting, tuple(subjects), names, {}, {}) for setting in settings]
    work = [(c, t) for t in settings[0].shots for c in contenders]
    tasks = [[Task.of(subjects, i, setting) for setting in settings] for i in range(len(subjects))]
    places = [task.path(c, t) for several in tasks for task in several for c, t in work]
    what = f"evaluate ({' and '.join(setting.protocol for setting in settings)})"
    progress.start(what, len(places), "cell", done=sum(place.is_file() for place in places))
    for subject, several in zip(subjects, tasks, strict=True):
        for task, outcome in zip(several, outcomes, strict=True):
            outcome.real[subject.identity] = slim(task.real)
        for contender, shots in work:
            known = [task.stored(contender, shots) for task in several]
            learned: Draw | None = None
            for task, outcome, cell in zip(several, outcomes, known, strict=True):
                if cell is None:
                    learned = learned or contender.learn(task.photos(shots))
                    fresh = not task.path(contender, shots).is_file()
                    cell = task.measure(contender, shots, learned)
                    note = f"{subject.identity}, T = {shots}, {contender.name}"
                    progress.advance(int(fresh), note=note)
                outcome.cells[contender.name, shots, subject.identity] = slim(cell)
        several.clear()  # and with the tasks their frames
    progress.stop()
    return outcomes


@dataclass
class Task:
    """One person's part in one setting. Nothing is read before something turns out missing."""

    setting: Setting
    subject: Subject
    driver: Subject | None

    @classmethod
    def of(cls, subjects: Sequence[Subject], i: int, setting: Setting) -> Task:
        """In the modern protocol everybody is driven by the next in the list."""
        driver = None if setting.protocol == "fsth" else subjects[(i + 1) % len(subjects)]
        return cls(setting, subjects[i], driver)

    @cached_property
    def inputs(self) -> FaceClip:
        return self._own.inputs

    @cached_property
    def truth(self) -> FaceClip:
        """The true pictures (self-reenactment) or the driver's."""
        if self._other is None:
            return self._own.held
        return self._other.run or self._other.held

    @cached_property
    def _own(self) -> Frames:
        return self.subject.load()

    @cached_property
    def _other(self) -> Frames | None:
        return self.driver.load() if self.driver else None

    @cached_property
    def real(self) -> Cell:
        """The true pictures, seen at the size of those drawn."""
        path, key = self._path("real", 0), self._key(None, 0)
        cell = read_cell(path, key)
        if cell is None:
            cell = self._measure_real()
            write_cell(path, cell, key)
        return cell

    def path(self, contender: Contender, shots: int) -> Path:
        return self._path(contender.name, shots)

    def stored(self, contender: Contender, shots: int) -> Cell | None:
        """The finished cell; None if there is none, or it was made of something else."""
        return read_cell(self.path(contender, shots), self._key(contender, shots))

    def photos(self, shots: int) -> FaceClip:
        """The T input frames that every contender gets."""
        rows = shots_of(self.subject.identity, len(self.inputs), shots, self.setting.seed)
        return self.inputs.take(rows)

    def measure(self, contender: Contender, shots: int, draw: Draw) -> Cell:
        """Draw what the setting asks for, measure it, and store the cell."""
        landmarks, setting = self._landmarks(self.photos(shots)), self.setting
        drawn = self._small(draw(landmarks))
        look = setting.watcher.look(drawn, landmarks)
        values: dict[str, np.ndarray] = {}
        truth = self.real.features
        if setting.protocol == "fsth":
            true = self.real.drawn
            values["ssim"] = scores.ssim(drawn, true)
            values["psnr"] = scores.psnr(drawn, true)
            for name, network in setting.networks.items():
                if network.pairs:
                    values[name] = network.pairs(drawn, true)
            for name, vectors in look.identities.items():
                values[f"csim_{name}"] = scores.cosine(vectors, truth[name])
        else:
            for name, vectors in look.identities.items():
                mean = truth[f"{name} inputs"].mean(axis=0, keepdims=True)
                values[f"csim_{name}"] = scores.cosine(vectors, mean)
            wanted = truth["points"].reshape(-1, 68, 2)
            if truth["consecutive"].all() and len(wanted) >= 3:
                ratio = scores.jitter(look.points) / scores.jitter(wanted)
                values["jitter"] = np.array([ratio])
        values["akd"] = scores.keypoint_distance(look.points, landmarks)
        values["pose"] = np.abs(look.pose - truth["pose"]).mean(axis=1)
        values["expression"] = np.abs(look.expression - truth["expression"]).mean(axis=1)
        cell = Cell(drawn, values, _features(look, drawn, setting.networks))
        write_cell(self.path(contender, shots), cell, self._key(contender, shots))
        return cell

    def _landmarks(self, photos: FaceClip) -> np.ndarray:
        """(N, 68, 2): what is to be drawn of a person known from these photos."""
        if self.driver is None:
            return self.truth.landmarks
        return adapt(self.truth.landmarks, self.truth.times, photos.landmarks)

    def _measure_real(self) -> Cell:
        pictures, networks = self._small(self.truth.frames), self.setting.networks
        look = self.setting.watcher.look(pictures, self.truth.landmarks)
        features = _features(look, pictures, networks)
        if self._other is not None:
            inputs = self._small(self.inputs.frames)
            own = self.setting.watcher.look(inputs, self.inputs.landmarks)
            of_inputs = _features(own, inputs, networks)
            features |= {f"{name} inputs": vectors for name, vectors in of_inputs.items()}
            features["consecutive"] = np.array([[self._other.run is not None]])
        features |= {"points": look.points.reshape(len(pictures), -1)}
        features |= {"pose": look.pose, "expression": look.expression}
        return Cell(pictures, {}, features)

    def _small(self, pictures: np.ndarray) -> np.ndarray:
        size = self.setting.size
        if pictures.shape[1] == size:
            return pictures
        return np.stack([resized(picture, size) for picture in pictures])

    def _key(self, contender: Contender | None, shots: int) -> str:
        """What a cell depends on, as one hash: a cell of another key is made again."""
        setting = self.setting
        parts = [
            *(setting.protocol, setting.size, setting.seed, shots, self.subject.made_of),
            self.driver.made_of if self.driver else "",
            f"{contender.name} {contender.made_of}" if contender else "",
            sorted(setting.watcher.backbones.items()),
            setting.watcher.landmarks,
            sorted((name, network.backbone) for name, network in setting.networks.items()),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def _path(self, system: str, shots: int) -> Path:
        return _path(self.setting, system, shots, self.subject.identity)


def _features(
    look: Look, pictures: np.ndarray, networks: dict[str, MetricNetwork]
) -> dict[str, np.ndarray]:
    found = dict(look.identities)
    for name, network in networks.items():
        if network.features:
            found[name] = network.features(pictures)
    return found


def _path(setting: Setting, system: str, shots: int, identity: str) -> Path:
    """Hashed, because names of systems and people may hold anything."""
    name = hashlib.sha256(json.dumps([system, identity]).encode()).hexdigest()[:16]
    return setting.folder / setting.protocol / f"T{shots:02d}" / f"{name}.npz"
