"""Training a run: embedder, generator and discriminator, or an alternative to compare with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsh.data_places import copies_setting, data_folder
from fsh.defaults import Announce, AnyPath
from fsh.schemas.progress import Progress, Silent
from fsh.threads import set_thread_count
from fsh.trainer.config import TrainConfig
from fsh.trainer.presets import resolve
from fsh.trainer.training.dry_run import TrainingPlan
from fsh.trainer.training.dry_run import plan_training as plan_run
from fsh.trainer.training.loop import train as run_training
from fsh.trainer.training.report import TrainReport


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
    compile: bool = False,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> TrainReport:
    """Train on the data set's train split; an interrupted run goes on exactly where it stopped.

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
        compile: ``torch.compile`` the networks; where that fails, go on without.
        seed: of the weights and the data order.
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
        compile=compile,
        seed=seed,
    )
    folder, place = _folder(run, config), data_folder(data)
    threads = set_thread_count(config.network.size)
    if announce:
        shown = {"data": data, "run": folder, **copies_setting(place)}
        announce({**shown, **dict(config.table()), "threads": threads})
    return run_training(place, folder, config, progress or Silent(), stop=stop)


def plan_training(
    data: AnyPath = "data", run: AnyPath | None = None, **options: Any
) -> TrainingPlan:
    """What :func:`train` would do with the same options: configuration, sizes, memory, data.

    Raises:
        FshError: whatever the run itself would refuse at its start.
    """
    config = _config(**options)
    return plan_run(data_folder(data), _folder(run, config), config)


def _config(
    preset: str = "auto",
    device: str = "auto",
    loss: str | None = None,
    compile: bool = False,
    **others: Any,
) -> TrainConfig:
    """The options of :func:`train` as a configuration."""
    return resolve(preset, device, loss_preset=loss, compile="on" if compile else "off", **others)


def _folder(run: AnyPath | None, config: TrainConfig) -> Path:
    if run is not None:
        return Path(run)
    own = config.method == "fsth"
    return Path("runs") / (config.preset if own else f"{config.method}-{config.preset}")
