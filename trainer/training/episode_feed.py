"""Batches from the loader to episodes on the device."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any, Protocol

import torch

from fsh.trainer.config import TrainConfig
from fsh.trainer.data.augmentation import varied
from fsh.trainer.data.episodes import Batch, EpisodeStream
from fsh.trainer.data.loader import loader
from fsh.trainer.data.plan import DataPlan
from fsh.trainer.distributed import Ranks
from fsh.trainer.models.video_embeddings import Columns
from fsh.trainer.training.losses import Episodes
from fsh.trainer.training.session import Session


def open_batches(plan: DataPlan, session: Session, ranks: Ranks) -> Iterator[Batch]:
    """The loader, from the session's position on."""
    config = session.config
    stream = EpisodeStream(
        plan.shards,
        size=plan.card.spec.size,
        image=config.network.size,
        frames=config.frames,
        batch=config.batch,
        seed=config.seed,
        rank=ranks.rank,
        world=ranks.world,
        start=session.position,
    )
    return loader(stream, plan.workers, pin=config.device.startswith("cuda"))


def open_episodes(plan: DataPlan, session: Session, ranks: Ranks) -> Iterator[Episodes]:
    """The loader's batches on the device, copied there while it computes if it is a GPU."""
    config, columns = session.config, session.model.columns
    batches = open_batches(plan, session, ranks)
    position = itertools.count(session.position)

    def move(batch: Batch) -> Episodes:
        return to_device(batch, columns, config, (config.seed, next(position), ranks.rank))

    if config.device.startswith("cuda"):
        return moved_aside(batches, move, SideStream(config.device))
    return map(move, batches)


def to_device(
    batch: Batch, columns: Columns, config: TrainConfig, seed: tuple[int, ...] = (0,)
) -> Episodes:
    """uint8 pictures to the floats that the networks see, channels last.

    Args:
        seed: how the episodes are varied, if the configuration has them varied.
    """
    device = config.device
    images = batch.images.to(device, non_blocking=True).float() / 127.5 - 1
    landmarks = batch.landmarks.to(device, non_blocking=True).float() / 255
    if config.augment:
        images, landmarks = varied(images, landmarks, seed)
    rows = columns.rows(batch.videos)
    if device.startswith("cuda"):
        rows = rows.pin_memory()  # else the copy would wait for everything before it

    def channels_last(pictures: torch.Tensor) -> torch.Tensor:
        return pictures.contiguous().movedim(-1, -3)

    return Episodes(
        source_images=channels_last(images[:, :-1]),
        source_landmarks=channels_last(landmarks[:, :-1]),
        images=channels_last(images[:, -1]),
        landmarks=channels_last(landmarks[:, -1]),
        columns=rows.to(device, non_blocking=True),
    )


class Side(Protocol):
    """A queue of the device's beside the one that computes."""

    def copying(self) -> AbstractContextManager[Any]: ...

    def hand_over(self, episodes: Episodes) -> None: ...


class SideStream:
    """A CUDA stream for copies."""

    def __init__(self, device: str) -> None:
        self.stream = torch.cuda.Stream(device)

    def copying(self) -> AbstractContextManager[Any]:
        return torch.cuda.stream(self.stream)

    def hand_over(self, episodes: Episodes) -> None:
        """The computing stream waits for the copies, and their memory for the computing stream."""
        computing = torch.cuda.current_stream(self.stream.device)
        computing.wait_stream(self.stream)
        for field in fields(episodes):
            getattr(episodes, field.name).record_stream(computing)


def moved_aside(
    batches: Iterable[Batch], move: Callable[[Batch], Episodes], side: Side
) -> Iterator[Episodes]:
    """``map(move, batches)``, moved on ``side``.

    The next batch is asked for when a step has been launched, not when it is done: while the device
    computes, the batch is already on its way.
    """
    for batch in batches:
        with side.copying():
            episodes = move(batch)
        side.hand_over(episodes)
        yield episodes
