"""Batches from the loader to episodes on the device, while that computes if it is a GPU."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any, Protocol

import numpy as np
import torch

from fsh.trainer.config import NetworkConfig, TrainConfig
from fsh.trainer.data.augmentation import augment_episodes, augment_windows
from fsh.trainer.data.episodes import Batch, EpisodeStream
from fsh.trainer.data.loader import loader
from fsh.trainer.data.pictures import channels_first, scale_images, scale_landmark_images
from fsh.trainer.data.plan import DataPlan
from fsh.trainer.distributed import Ranks
from fsh.trainer.models.face_colors import face_colors, recolored
from fsh.trainer.models.references import Photos, References, nearest_photos, prepare
from fsh.trainer.models.video_embeddings import VideoEmbeddings
from fsh.trainer.training.damage import DamageTally
from fsh.trainer.training.losses import Episodes, windows_if_any
from fsh.trainer.training.session import Session


def open_batches(plan: DataPlan, session: Session, ranks: Ranks) -> Iterator[Batch]:
    """The loader, from the session's position on."""
    config = session.config
    stream = EpisodeStream(
        plan.shards,
        crop_size=plan.card.spec.size,
        image_size=config.network.picture_size,
        landmark_size=config.network.size,
        frames=config.frames,
        batch=config.batch,
        seed=config.seed,
        rank=ranks.rank,
        world=ranks.world,
        start=session.position,
        # Without meshes a face is not told from what is around it.
        other_clips=config.other_clips if plan.card.spec.has_mesh else 0.0,
        opener=plan.opener,
        gaze=config.gaze,
    )
    return loader(stream, plan.workers, pin=config.device.startswith("cuda"))


def open_episodes(
    plan: DataPlan, session: Session, ranks: Ranks, damage: DamageTally
) -> Iterator[Episodes]:
    """The loader's batches on the device, copied there while it computes if it is a GPU.

    Args:
        damage: counts the episodes that could not be decoded.
    """
    config, embeddings = session.config, session.model.columns
    batches = damage.count(open_batches(plan, session, ranks))
    position = itertools.count(session.position)

    def move(batch: Batch) -> Episodes:
        return to_device(batch, embeddings, config, (config.seed, next(position), ranks.rank))

    if config.device.startswith("cuda"):
        return moved_on_stream(batches, move, CudaCopyStream(config.device))
    return map(move, batches)


def to_device(
    batch: Batch, embeddings: VideoEmbeddings, config: TrainConfig, seed: tuple[int, ...] = (0,)
) -> Episodes:
    """uint8 pictures to the floats that the networks take, channels last in memory.

    Args:
        embeddings: know which of them belongs to a video.
        seed: what the augmentation depends on, where the configuration asks for it.
    """
    device = config.device
    images = scale_images(batch.images.to(device, non_blocking=True))
    drawn = scale_landmark_images(batch.landmark_images.to(device, non_blocking=True))
    points: torch.Tensor | None = None
    if config.network.references:
        points = batch.points.to(device, non_blocking=True)
    real = batch.real
    if config.augment:
        real = augment_windows(real, seed)
        images, drawn, points = augment_episodes(images, drawn, seed, points=points)
    source_real = _windows_to_device(real[:, :-1], device)
    indices = embeddings.indices_of(batch.videos)
    if device.startswith("cuda"):
        indices = indices.pin_memory()  # else the copy would wait for everything before it
    sources = channels_first(images[:, :-1].contiguous())
    references: References | None = None
    if points is not None:
        # From one photo to all that it can take, so that the generator learns to do with few.
        slots = config.network.references
        count = int(np.random.default_rng((*seed, 1)).integers(1, slots + 1))
        references = references_of(
            sources, points, config.network, count, source_real, batch.elsewhere[:, :-1]
        )
    return Episodes(
        source_images=sources,
        source_landmark_images=channels_first(drawn[:, :-1].contiguous()),
        images=channels_first(images[:, -1].contiguous()),
        landmark_images=channels_first(drawn[:, -1].contiguous()),
        video_indices=indices.to(device, non_blocking=True),
        references=references,
        source_real=source_real,
        real=_windows_to_device(real[:, -1], device),
    )


def references_of(
    sources: torch.Tensor,
    points: torch.Tensor,
    network: NetworkConfig,
    count: int,
    real: torch.Tensor | None = None,
    elsewhere: torch.Tensor | None = None,
) -> References:
    """What the generator is given of the first ``count`` source frames of episodes.

    The nearest comes first; the still one is the least like the target. As when a person is drawn,
    photos of another scene give their faces alone, in the colors of the still one's.

    Args:
        sources: (B, K, 3, P, P). points: (B, K + 1, …), of sources and, last, targets.
        real: (B, K, 4), which part of the sources is; None: all of it.
        elsewhere: bool (B, K), which sources show another scene than the target, never the first;
            None: none of them.
    """
    count, kept = min(count, sources.shape[1]), network.references
    order = nearest_photos(points[:, -1], points[:, :count], kept)[:, : min(count, kept)]
    rows = torch.arange(len(order), device=order.device)[:, None]
    away = torch.zeros(sources.shape[:2], dtype=torch.bool, device=order.device)
    if elsewhere is not None and elsewhere[:, :count].any():
        away = elsewhere.to(order.device, non_blocking=True)
        missing = away.any(1) & (order != 0).all(1)  # the first is of the target's scene
        order[:, -1] = torch.where(missing, 0, order[:, -1])
        sources = _recolored(sources, points, elsewhere[:, :count])
    away = away[rows, order]
    known = None if real is None else real[rows, order].flatten(0, 1)
    photos = Photos.of(
        sources[rows, order].flatten(0, 1), points[rows, order].flatten(0, 1), network.size, known
    )
    own = torch.arange(order.numel(), device=order.device).view(order.shape)
    last = (~away * torch.arange(order.shape[1], device=order.device)).argmax(1, keepdim=True)
    still = photos.take(own.gather(1, last)[:, 0])
    return prepare(points[:, -1], photos.take(own), still, network.size, kept, away)


def _recolored(
    sources: torch.Tensor, points: torch.Tensor, elsewhere: torch.Tensor
) -> torch.Tensor:
    """Sources (B, K, 3, P, P) of which those of another scene have the first one's colors."""
    sources = sources.clone()
    for row, number in elsewhere.nonzero().tolist():
        one, first = (face_colors(sources[row, i], points[row, i]) for i in (number, 0))
        sources[row, number] = recolored(sources[row, number], one, first)
    return sources


def _windows_to_device(real: torch.Tensor, device: str) -> torch.Tensor | None:
    """Which parts of the images are real, (…, 4); None if they all are."""
    some = windows_if_any(real)
    if some is None:
        return None
    if device.startswith("cuda"):
        some = some.contiguous().pin_memory()
    return some.to(device, non_blocking=True)


class CopyStream(Protocol):
    """A queue of copies to the device, beside the queue of computations."""

    def copying(self) -> AbstractContextManager[Any]:
        """What is launched inside goes into this queue."""
        ...

    def hand_over(self, episodes: Episodes) -> None:
        """Let the queue of computations wait for the copies of these episodes."""
        ...


class CudaCopyStream:
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
            value = getattr(episodes, field.name)
            for tensor in value if isinstance(value, References) else (value,):
                if tensor is not None:
                    tensor.record_stream(computing)


def moved_on_stream(
    batches: Iterable[Batch], move: Callable[[Batch], Episodes], stream: CopyStream
) -> Iterator[Episodes]:
    """``map(move, batches)``, moved on ``stream``.

    The next batch is asked for when a step has been launched, not when it is done: while the device
    computes, the batch is already on its way.
    """
    for batch in batches:
        with stream.copying():
            episodes = move(batch)
        stream.hand_over(episodes)
        yield episodes
