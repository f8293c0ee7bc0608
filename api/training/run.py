"""Training a run: embedder, generator and discriminator, or an alternative to compare with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fsh.data_places import data_folder
from fsh.defaults import Announce, AnyPath
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress, Silent
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.plan import plan_data
from fsh.trainer.presets import resolve
from fsh.trainer.training.dry_run import TrainingPlan
from fsh.trainer.training.dry_run import plan_training as plan_run
from fsh.trainer.training.report import TrainReport
from fsh.trainer.training.resuming import config_to_go_on
from fsh.training.process import train_here
from fsh.training.processes import train_in_processes


def train(
    data: AnyPath = "data",
    run: AnyPath | None = None,
    *,
    method: str = "fsth",
    preset: str = "auto",
    loss: str | None = None,
    variant: str = "ft",
    steps: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    device: str = "auto",
    perceptual: str | None = None,
    augment: bool | None = None,
    reference: bool | None = None,
    gaze: bool = False,
    compile: bool = False,
    seed: int = 0,
    devices: int = 1,
    nodes: int = 1,
    rendezvous: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> TrainReport:
    """Train on the data set's train split; an interrupted run goes on exactly where it stopped.

    It goes on as it was begun: what no argument says stays as the run has it, whatever preset and
    version of fsh it was begun with.

    Sets the number of PyTorch's threads in this process (``torch.set_num_threads``) where the
    networks are for 64 pixels or less and ``OMP_NUM_THREADS`` is not set.

    Args:
        data: the data folder, or its address in an object store, written by ``fsh shard``.
        run: the run's folder; None: ``runs/PRESET`` or ``runs/METHOD-PRESET``.
        method: ``fsth``, or an alternative to compare with: ``x2face``, ``pix2pixhd``.
        preset: ``paper`` (256 px), ``small`` (128), ``nano`` (64, CPU) or ``auto``.
        loss: loss weights: ``paper-v1``, ``paper-v2`` or ``lab``; None: the preset's.
        variant: ``ft``: meant for fine-tuning; ``ff``: feed-forward, no matching loss.
        steps: generator steps in all; None: the preset's, or ``minutes``.
        minutes: time instead of steps.
        batch: episodes per step.
        device: ``cpu``, ``cuda`` or ``auto``.
        perceptual: content features: ``vgg``, ``dlib``, ``random`` or ``off``.
        augment: mirror and recolor episodes; None: only where a CPU trains.
        reference: copy what photos show, paint the rest (:mod:`fsh.trainer.models.references`);
            None: only where a CPU trains.
        gaze: draw the irises into landmark images, so that the eyes' direction is asked for; the
            data set must have meshes (``landmarks="mediapipe"``).
        compile: ``torch.compile`` the networks; where that fails, go on without.
        seed: of the weights and the data order.
        devices: processes to train in on each machine, a GPU each, or a share of a CPU's cores; a
            step has so many times ``batch`` episodes.
        nodes: machines that train together; the same call is made on each of them.
        rendezvous: ``HOST:PORT`` of one of them where there are several.
        stop: asked after every step; True saves and returns.
        announce: called once, before the work begins, with the settings in force.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: no or unfit data, options that do not go together, a run of another
            configuration, or training that diverged again and again.
    """
    config = _config(
        method=method,
        preset=preset,
        loss=loss,
        variant=variant,
        steps=steps,
        minutes=minutes,
        batch=batch,
        device=device,
        perceptual=perceptual,
        augment=augment,
        reference=reference,
        gaze=gaze,
        compile=compile,
        seed=seed,
    )
    folder, place = _folder(run, config), data_folder(data)
    progress = progress or Silent()
    options = {"loss": loss, "batch": batch, "perceptual": perceptual, "augment": augment}
    asked = _asked(reference=reference, **options)
    work = place, folder, config_to_go_on(folder, config, asked, progress)
    told: dict[str, Any] = {"stop": stop, "announce": announce, "progress": progress}
    if (world := _world(config, devices, nodes, rendezvous)) == 1:
        return train_here(*work, **told)
    plan_data(place, workers=config.workers, world=world)
    return train_in_processes(*work, devices, nodes, rendezvous, **told)


def plan_training(
    data: AnyPath = "data",
    run: AnyPath | None = None,
    *,
    devices: int = 1,
    nodes: int = 1,
    rendezvous: str | None = None,
    **options: Any,
) -> TrainingPlan:
    """What :func:`train` would do with the same options: configuration, sizes, memory, data.

    Raises:
        FshError: whatever the run itself would refuse at its start.
    """
    config = _config(**options)
    folder, world = _folder(run, config), _world(config, devices, nodes, rendezvous)
    config = config_to_go_on(folder, config, _asked(**options), Silent())
    return plan_run(data_folder(data), folder, config, world=world)


def _world(config: TrainConfig, devices: int, nodes: int, rendezvous: str | None) -> int:
    """How many processes train together.

    Raises:
        FshError: devices that are not there, or options that do not go together.
    """
    if devices < 1 or nodes < 1:
        raise FshError("devices and nodes must be at least 1")
    if (nodes > 1) != (rendezvous is not None):
        raise FshError(
            "several machines need --nodes and --rendezvous",
            where="--nodes" if rendezvous else "--rendezvous",
            remedy="name how many there are, and HOST:PORT of one of them",
        )
    world = devices * nodes
    if world == 1:
        return 1
    if "RANK" in os.environ:
        raise FshError(
            "this is one of several processes already",
            where="--devices",
            remedy="leave it out, or start `fsh train` without torchrun",
        )
    if config.device.startswith("cuda"):
        if ":" in config.device:
            raise FshError(
                f"{config.device} is one device",
                where="device (--device)",
                remedy="use cuda; CUDA_VISIBLE_DEVICES chooses among several",
            )
        if devices > (found := torch.cuda.device_count()):
            raise FshError(f"{devices} GPUs asked for, {found} here", where="--devices")
    return world


def _config(
    preset: str = "auto",
    device: str = "auto",
    loss: str | None = None,
    compile: bool = False,
    **others: Any,
) -> TrainConfig:
    """The options of :func:`train` as a configuration."""
    return resolve(preset, device, loss_preset=loss, compile="on" if compile else "off", **others)


def _asked(**options: Any) -> set[str]:
    """Flattened names of the configuration's fields that options of :func:`train` say."""
    fields = {"loss": "loss_preset", "reference": "network.references"}
    given = {fields.get(name, name) for name, value in options.items() if value is not None}
    return given | {"gaze", "seed"}


def _folder(run: AnyPath | None, config: TrainConfig) -> Path:
    if run is not None:
        return Path(run)
    own = config.method == "fsth"
    return Path("runs") / (config.preset if own else f"{config.method}-{config.preset}")
