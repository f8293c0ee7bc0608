"""The protocols: who draws what for whom, what is measured, and the table of it.

``fsth`` is the paper's: self-reenactment of people never trained on, from T of 32 frames, compared
with 32 other frames of theirs. ``modern`` drives each person with another's consecutive frames,
as users do, where there is no true picture to compare with.

Every (identity, T, contender) is one cell, kept on disk as soon as it is done.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.layout import replacing
from fsh.schemas.progress import Progress
from fsh.trainer import scores
from fsh.trainer.adapt import adapt
from fsh.trainer.contenders import Contender, resized
from fsh.trainer.metric_networks import MetricNetwork
from fsh.trainer.subjects import Frames, Subject, shots_of


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
    setting: Setting,
    progress: Progress,
) -> Outcome:
    """Draw and measure whatever is not on disk yet; the same call goes on after a stop.

    Raises:
        FshError: one identity in a protocol that wants two, or whatever a contender raises.
    """
    if setting.protocol == "modern" and len(subjects) < 2:
        raise FshError(
            "one identity cannot drive another", remedy="evaluate more, or --protocol fsth"
        )
    cells: dict[tuple[str, int, str], Cell] = {}
    real: dict[str, Cell] = {}
    work = [(c, t) for t in setting.shots for c in contenders]
    keys = {
        (c.name, t, s.identity): _key(setting, c, t, s, _driver_of(subjects, i, setting))
        for i, s in enumerate(subjects)
        for c, t in work
    }
    done = sum(_path(setting, *place).is_file() for place in keys)
    progress.start(f"evaluate ({setting.protocol})", len(keys), "cell", done=done)
    for i, subject in enumerate(subjects):
        driver = _driver_of(subjects, i, setting)
        task: Task | None = None
        truth = _path(setting, "real", 0, subject.identity)
        truth_key = _key(setting, None, 0, subject, driver)
        known = read_cell(truth, truth_key)
        if known is None:
            task = Task.of(subject, driver, setting)
            known = task.measure_real()
            write_cell(truth, known, truth_key)
        real[subject.identity] = _slim(known)
        for contender, shots in work:
            place = (contender.name, shots, subject.identity)
            path = _path(setting, *place)
            cell = read_cell(path, keys[place])
            if cell is None:
                fresh = not path.is_file()
                task = task or Task.of(subject, driver, setting)
                cell = task.measure(contender, shots, known)
                write_cell(path, cell, keys[place])
                if fresh:
                    progress.advance(1, note=f"{subject.identity}, T = {shots}, {contender.name}")
            cells[place] = _slim(cell)
    progress.stop()
    return Outcome(setting, tuple(subjects), tuple(c.name for c in contenders), cells, real)


@dataclass
class Task:
    """One person's part: photos to learn from, landmarks to draw, pictures to compare with."""

    identity: str
    inputs: FaceClip
    landmarks_of: Callable[[FaceClip], np.ndarray]
    truth: FaceClip
    consecutive: bool
    setting: Setting

    @classmethod
    def of(cls, subject: Subject, driver: Subject | None, setting: Setting) -> Task:
        own = subject.load()
        if driver is None:
            held = own.held
            return cls(subject.identity, own.inputs, lambda _: held.landmarks, held, False, setting)
        other: Frames = driver.load()
        run = other.run or other.held
        return cls(
            subject.identity,
            own.inputs,
            lambda photos: adapt(run.landmarks, run.times, photos.landmarks),
            run,
            other.run is not None,
            setting,
        )

    def measure_real(self) -> Cell:
        """The true pictures (self-reenactment) or the driver's, seen at the same size."""
        pictures = self._small(self.truth.frames)
        look = self.setting.watcher.look(pictures, self.truth.landmarks)
        features = _features(look, pictures, self.setting.networks)
        if self.setting.protocol == "modern":
            inputs = self._small(self.inputs.frames)
            own = self.setting.watcher.look(inputs, self.inputs.landmarks)
            for name, vectors in own.identities.items():
                features[f"{name} inputs"] = vectors
            for name, network in self.setting.networks.items():
                if network.features:
                    features[f"{name} inputs"] = network.features(inputs)
            features["consecutive"] = np.array([[self.consecutive]])
        features |= {"points": look.points.reshape(len(pictures), -1)}
        features |= {"pose": look.pose, "expression": look.expression}
        return Cell(pictures, {}, features)

    def measure(self, contender: Contender, shots: int, real: Cell) -> Cell:
        chosen = shots_of(self.identity, len(self.inputs), shots, self.setting.seed)
        photos = _take(self.inputs, chosen)
        landmarks = self.landmarks_of(photos)
        drawn = self._small(contender.learn(photos)(landmarks))
        look = self.setting.watcher.look(drawn, landmarks)
        values: dict[str, np.ndarray] = {}
        truth = real.features
        if self.setting.protocol == "fsth":
            values["ssim"] = scores.ssim(drawn, real.drawn)
            values["psnr"] = scores.psnr(drawn, real.drawn)
            for name, network in self.setting.networks.items():
                if network.pairs:
                    values[name] = network.pairs(drawn, real.drawn)
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
        return Cell(drawn, values, _features(look, drawn, self.setting.networks))

    def _small(self, pictures: np.ndarray) -> np.ndarray:
        size = self.setting.size
        if pictures.shape[1] == size:
            return pictures
        return np.stack([resized(picture, size) for picture in pictures])


def _features(
    look: Look, pictures: np.ndarray, networks: dict[str, MetricNetwork]
) -> dict[str, np.ndarray]:
    found = dict(look.identities)
    for name, network in networks.items():
        if network.features:
            found[name] = network.features(pictures)
    return found


def _slim(cell: Cell) -> Cell:
    """A cell without its pictures: at 256 px those of a whole evaluation are gigabytes."""
    return replace(cell, drawn=cell.drawn[:0])


def _take(clip: FaceClip, which: Iterable[int]) -> FaceClip:
    rows = list(which)
    return FaceClip(
        clip.name,
        clip.frames[rows],
        clip.landmarks[rows],
        clip.times[rows],
        clip.crops[rows],
        clip.spec,
    )


def _driver_of(subjects: Sequence[Subject], i: int, setting: Setting) -> Subject | None:
    """In the modern protocol everybody is driven by the next in the list."""
    return None if setting.protocol == "fsth" else subjects[(i + 1) % len(subjects)]


def _key(
    setting: Setting,
    contender: Contender | None,
    shots: int,
    subject: Subject,
    driver: Subject | None,
) -> str:
    """What a cell depends on, as one hash: a cell of another key is made again."""
    parts = [
        *(setting.protocol, setting.size, setting.seed, shots, subject.made_of),
        driver.made_of if driver else "",
        f"{contender.name} {contender.made_of}" if contender else "",
        sorted(setting.watcher.backbones.items()),
        setting.watcher.landmarks,
        sorted((name, network.backbone) for name, network in setting.networks.items()),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _path(setting: Setting, system: str, shots: int, identity: str) -> Path:
    """Hashed, because names of systems and people may hold anything."""
    name = hashlib.sha256(json.dumps([system, identity]).encode()).hexdigest()[:16]
    return setting.folder / setting.protocol / f"T{shots:02d}" / f"{name}.npz"


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
