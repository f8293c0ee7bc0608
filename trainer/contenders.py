"""What is compared: fsh feed-forward and fine-tuned, the alternatives, and two trivial answers.

Each contender is shown T photos of a person and then draws that person from landmarks; all get the
same photos and the same landmarks.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import nn

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.spec import FaceSpec
from fsh.trainer import checkpoint, tuning
from fsh.trainer.config import TrainConfig
from fsh.trainer.content import load_content
from fsh.trainer.losses import Content, Episodes, Terms
from fsh.trainer.methods import METHODS
from fsh.trainer.monitor import to_pictures
from fsh.trainer.networks import channels_last
from fsh.trainer.person import Person
from fsh.trainer.personal import (
    Photos,
    Trained,
    load_trained,
    newest_folder,
    personalize,
    prepare,
)
from fsh.trainer.raster import draw_all, rescale
from fsh.trainer.stopping import Judges

#: Fine-tuning steps of the authors' later practice: for one photo, and for more than thirty.
FEWEST_STEPS, MOST_STEPS, MANY_PHOTOS = 125, 230, 31
#: Photos per fine-tuning step of the alternatives at most; fsh's own take fewer.
BATCH = 4

#: Landmarks float32 (N, 68, 2), crop pixels, to pictures uint8 (N, H, H, 3).
Draw = Callable[[np.ndarray], np.ndarray]


class Contender(Protocol):
    """One row of the table.

    Attributes:
        name: as the table has it.
        made_of: what its drawings depend on besides photos and landmarks; a change of it makes
            stored drawings stale.
    """

    name: str
    made_of: str

    def learn(self, photos: FaceClip) -> Draw: ...


def authors_steps(photos: int) -> int:
    """Fine-tuning steps for so many photos: 125 for one, 230 for 31 and more, linear between."""
    share = min(1.0, (photos - 1) / (MANY_PHOTOS - 1))
    return round(FEWEST_STEPS + share * (MOST_STEPS - FEWEST_STEPS))


@dataclass(frozen=True)
class Run:
    """A training run to evaluate: its configuration, its crop specification, its weights' hash."""

    folder: Path
    config: TrainConfig
    spec: FaceSpec
    step: int
    sha256: str

    @classmethod
    def read(cls, run: Path, progress: Progress, device: str = "cpu") -> Run:
        """The newest checkpoint of a run, or one checkpoint's folder.

        Raises:
            FshError: if there is none, or it is damaged.
        """
        folder = newest_folder(run, progress)
        state = checkpoint.read_state(folder, checkpoint.FORMAT)
        return cls(
            folder=folder,
            config=TrainConfig.from_json({**state["config"], "device": device}),
            spec=FaceSpec.from_json(state["spec"]),
            step=state["step"],
            sha256=state["files"]["average.safetensors"],
        )


def contenders_of(
    run: Run,
    steps: Callable[[int], int | None],
    progress: Progress,
    label: str = "",
    judges: Judges | None = None,
) -> list[Contender]:
    """What a run enters: fsh's feed-forward and fine-tuned, an alternative's fine-tuned.

    Args:
        steps: photos to fine-tuning steps; None leaves it to ``fsh personalize``'s own rule
            (the alternatives then take :func:`authors_steps`).
        label: told apart by it in the table, where two runs are of one method.
        judges: what ``fsh personalize``'s own rule goes by; None: the loss on held-out photos.
    """
    title = METHODS[run.config.method].title + (f" ({label})" if label else "")
    if run.config.method == "fsth":
        trained = load_trained(run.folder, progress, run.config.device)
        return [
            Personalized(f"{title} FF", run, trained, lambda _: 0),
            Personalized(f"{title} FT", run, trained, steps, judges),
        ]
    return [Alternative(title, run, steps, progress)]


class Personalized:
    """What ``fsh personalize`` makes of the photos, drawn as ``fsh animate`` draws."""

    def __init__(
        self,
        name: str,
        run: Run,
        trained: Trained,
        steps: Callable[[int], int | None],
        judges: Judges | None = None,
    ) -> None:
        self.name, self.trained, self.steps, self.judges = name, trained, steps, judges
        counts = [steps(t) for t in (1, 8, 32)]
        judged = " judged" if judges and None in counts else ""
        self.made_of = f"{run.sha256} steps {counts} of {tuning.BATCH}{judged}"

    def learn(self, photos: FaceClip) -> Draw:
        steps, device = self.steps(len(photos)), self.trained.config.device
        if steps is None and self.judges and photos.embedding is None:
            # As `fsh personalize` does it: a person's identity is the mean over the photos.
            known = self.judges.recognise(photos.frames, photos.landmarks)
            photos = replace(photos, embedding=known.mean(axis=0).astype(np.float32))
        with tempfile.TemporaryDirectory(prefix="fsh-evaluate-") as folder:
            out = Path(folder) / "person"
            personalize(
                self.trained,
                photos,
                out,
                steps=steps,
                progress=Silent(),
                device=device,
                judges=self.judges,
            )
            return Person.load(out, device).draw


class Alternative:
    """Another method's networks, fine-tuned on the photos with its own losses."""

    def __init__(
        self, name: str, run: Run, steps: Callable[[int], int | None], progress: Progress
    ) -> None:
        self.name, self.run = name, run
        self.steps = lambda photos: authors_steps(photos) if (n := steps(photos)) is None else n
        self.made_of = f"{run.sha256} steps {[self.steps(t) for t in (1, 8, 32)]}"
        self.networks = load_networks(run)
        self.content, _ = load_content(run.config, progress)

    def learn(self, photos: FaceClip) -> Draw:
        config = self.run.config
        inputs, _ = prepare(photos, config.network.size, config.device)
        method = METHODS[config.method]
        steps = self.steps(len(inputs))
        networks = fine_tuned(self.networks, inputs, self.content, config, steps)
        with torch.inference_mode():
            described = method.describe(networks, inputs.images[None], inputs.landmarks[None])
        generator, size = networks.generator, config.network.size

        @torch.inference_mode()
        def draw(landmarks: np.ndarray) -> np.ndarray:
            lines = draw_all(rescale(landmarks, photos.spec.size, size), size)
            pictures = [np.empty((0, size, size, 3), np.uint8)]
            for start in range(0, len(lines), 16):
                some = torch.from_numpy(lines[start : start + 16]).to(config.device)
                pictures.append(
                    to_pictures(generator(some.float().movedim(-1, -3) / 255, described))
                )
            return np.concatenate(pictures)

        return draw


def load_networks(run: Run) -> Any:
    """A run's averaged embedder and generator and its newest discriminator, as one module.

    Raises:
        FshError: if they do not fit the configuration.
    """
    state = checkpoint.read_state(run.folder, checkpoint.FORMAT)
    method = METHODS[run.config.method]
    networks = nn.Module()
    for name, file in (
        ("embedder", "average.safetensors"),
        ("generator", "average.safetensors"),
        ("discriminator", "networks.safetensors"),
    ):
        part = getattr(method, name)(run.config.network)
        tensors = checkpoint.read_tensors(run.folder, state, file)
        start = f"{name}."
        own = {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
        try:
            part.load_state_dict(own)
        except RuntimeError as error:
            line = str(error).splitlines()[0]
            raise FshError(f"tensors do not fit ({line})", where=run.folder) from error
        setattr(networks, name, channels_last(part.to(run.config.device)).eval())
    return networks


def fine_tuned(
    networks: Any, photos: Photos, content: Content, config: TrainConfig, steps: int
) -> Any:
    """A copy of a method's networks after ``steps`` updates on a person's photos.

    As fsh's own fine-tuning does it, with the run's losses and learning rates, but for up to
    :data:`BATCH` photos a step. Sources are other photos than the one to draw, if there are.
    """
    networks = copy.deepcopy(networks).train()
    method = METHODS[config.method]
    objective = method.objective(
        networks.embedder, networks.generator, networks.discriminator, None, content, config.loss
    )
    phases: list[tuple[list[nn.Module], float, Callable[[Episodes, Terms | None], Terms]]] = [
        ([networks.embedder, networks.generator], config.lr_generator, objective.generator)
    ]
    if method.adversarial:
        lr = config.lr_discriminator
        phases.append(([networks.discriminator], lr, objective.discriminator))
    adams = [
        torch.optim.Adam(
            [p for part in parts for p in part.parameters()],
            lr=rate,
            betas=config.betas,
            eps=config.epsilon,
        )
        for parts, rate, _ in phases
    ]
    random = np.random.default_rng(config.seed)
    for _ in range(steps):
        episodes = _episodes(photos, config.frames, random)
        made: Terms | None = None
        for (_, _, loss), adam in zip(phases, adams, strict=True):
            made = loss(episodes, made)
            made.total.backward()
            adam.step()
            adam.zero_grad(set_to_none=True)
    return networks.eval()


def _episodes(photos: Photos, frames: int, random: np.random.Generator) -> Episodes:
    count = len(photos)
    targets = random.permutation(count)[:BATCH]
    sources = []
    for target in targets:
        others = [i for i in range(count) if i != target] or [int(target)]
        sources.append(random.choice(others, frames, replace=len(others) < frames))
    rows = torch.from_numpy(np.array(sources))
    wanted = torch.from_numpy(targets)
    return Episodes(
        source_images=photos.images[rows],
        source_landmarks=photos.landmarks[rows],
        images=photos.images[wanted],
        landmarks=photos.landmarks[wanted],
        columns=torch.zeros(len(targets), dtype=torch.long),
    )


class NearestPhoto:
    """The photo whose landmarks are nearest, as it is: the answer that costs nothing."""

    name, made_of = "nearest photo", "1"

    def __init__(self, size: int) -> None:
        self.size = size

    def learn(self, photos: FaceClip) -> Draw:
        def draw(landmarks: np.ndarray) -> np.ndarray:
            chosen = nearest(photos.landmarks, landmarks)
            return np.stack([resized(photos.frames[i], self.size) for i in chosen])

        return draw


class WarpedPhoto:
    """The nearest photo, laid onto the landmarks by the affine map that fits best."""

    name, made_of = "warped photo", "1"

    def __init__(self, size: int) -> None:
        self.size = size

    def learn(self, photos: FaceClip) -> Draw:
        def draw(landmarks: np.ndarray) -> np.ndarray:
            chosen = nearest(photos.landmarks, landmarks)
            pictures = [
                warped(photos.frames[i], photos.landmarks[i], points)
                for i, points in zip(chosen, landmarks, strict=True)
            ]
            return np.stack([resized(picture, self.size) for picture in pictures])

        return draw


def nearest(photos: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """For each of (N, 68, 2) landmarks the number of the photo (T, 68, 2) with the nearest."""
    gaps = landmarks[:, None].astype(np.float64) - photos[None]
    return (gaps**2).sum(axis=(2, 3)).argmin(axis=1)


def warped(picture: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A picture under the least-squares affine map of points (68, 2) to points (68, 2)."""
    from_ = np.column_stack([source, np.ones(len(source))]).astype(np.float64)
    matrix = np.linalg.lstsq(from_, target.astype(np.float64), rcond=None)[0].T
    side = picture.shape[1], picture.shape[0]
    return cv2.warpAffine(
        picture, matrix, side, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    how = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(picture, (size, size), interpolation=how)
