"""Another method's run as a system: its networks fine-tuned on the photos, as the paper did."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.progress import Progress
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.landmark_images import irises_to_draw
from fsh.trainer.data.pictures import to_pictures
from fsh.trainer.evaluation.evaluated_system import Draw
from fsh.trainer.person.fine_tuning import LAST_RATE, linear_decay
from fsh.trainer.person.photo_tensors import PhotoTensors, landmark_image_tensors, photo_tensors
from fsh.trainer.runs import Run
from fsh.trainer.training.content import load_content
from fsh.trainer.training.losses import ContentLoss, Episodes, Terms, windows_if_any
from fsh.trainer.training.methods import METHODS

#: Photos per fine-tuning step at most; fsh's own take fewer.
BATCH = 4
_DRAWN_AT_ONCE = 16


class AlternativeSystem:
    """Another method's networks, fine-tuned on the photos with its own losses.

    Args:
        steps: photos to fine-tuning steps.
    """

    def __init__(
        self, name: str, run: Run, steps: Callable[[int], int], progress: Progress
    ) -> None:
        self.name, self.run, self.steps = name, run, steps
        counts = [self.steps(t) for t in (1, 8, 32)]
        self.fingerprint = f"{run.sha256} steps {counts} of {BATCH}, falling to {LAST_RATE}"
        self.networks = run.load_networks()
        self.content, _ = load_content(run.config, progress)

    def fit(self, photos: FaceClip) -> Draw:
        config = self.run.config
        crop, size = photos.spec.size, config.network.size
        tensors, _ = photo_tensors(photos, config.network, config.device)
        method = METHODS[config.method]
        networks = fine_tuned(
            self.networks, tensors, self.content, config, self.steps(len(tensors))
        )
        with torch.inference_mode():
            condition = method.condition(
                networks, tensors.images[None], tensors.landmark_images[None]
            )

        @torch.inference_mode()
        def draw(landmarks: FaceLandmarks) -> np.ndarray:
            pictures = [np.empty((0, size, size, 3), np.uint8)]
            for start in range(0, len(landmarks), _DRAWN_AT_ONCE):
                some = landmarks[start : start + _DRAWN_AT_ONCE]
                eyes = irises_to_draw(some.mesh, photos.spec)
                images = landmark_image_tensors(some.points, crop, size, config.device, eyes)
                pictures.append(to_pictures(networks.generator(images, condition)))
            return np.concatenate(pictures)

        return draw


def fine_tuned(
    networks: Any, photos: PhotoTensors, content: ContentLoss, config: TrainConfig, steps: int
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
    rates = linear_decay(adams, steps)
    random = np.random.default_rng(config.seed)
    for _ in range(steps):
        episodes = _episodes(photos, config.frames, random)
        made: Terms | None = None
        for (_, _, loss), adam, rate in zip(phases, adams, rates, strict=True):
            made = loss(episodes, made)
            made.total.backward()
            adam.step()
            rate.step()
            adam.zero_grad(set_to_none=True)
    return networks.eval()


def _episodes(photos: PhotoTensors, frames: int, random: np.random.Generator) -> Episodes:
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
        source_landmark_images=photos.landmark_images[rows],
        images=photos.images[wanted],
        landmark_images=photos.landmark_images[wanted],
        video_indices=torch.zeros(len(targets), dtype=torch.long),
        source_real=windows_if_any(photos.real[rows]),
        real=windows_if_any(photos.real[wanted]),
    )
