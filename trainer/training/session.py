"""A run in memory, and how it gets to disk and back: everything that a checkpoint holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.run_layout import (
    AVERAGE,
    COLUMNS,
    NETWORKS,
    OPTIMIZERS,
    RANDOM_STATE,
    RunFolder,
)
from fsh.trainer.checkpoint import FORMAT, Checkpoint, prune, read_state, write_folder
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.plan import DataPlan
from fsh.trainer.model_cards import write_run_card
from fsh.trainer.models.video_embeddings import carry_over
from fsh.trainer.training.state import (
    AveragedNetworks,
    Model,
    adam_for,
    load_optimizer,
    optimizer_tensors,
)
from fsh.trainer.training.watchdog import Watchdog

#: W's name among the model's parameters.
_W = "columns.weight"


@dataclass
class Session:
    """Everything that changes while training.

    Attributes:
        step: generator steps done.
        position: batches taken from the loader by each rank; runs ahead of ``step`` only after a
            rollback, which goes on with other data.
        target: steps planned, or None while the speed is still being measured.
        seconds: time spent in steps by all calls together.
        rate: factor on the learning rates; halved by every rollback.
        good: step of the newest checkpoint that was written while nothing looked like a failure.
        world: processes.
        features: per network of the content loss, what its weights are.
        datasets: SHA-256 of every ``dataset.json`` trained on, the newest last. counts: of the
            newest, its videos, clips and so on.
    """

    config: TrainConfig
    spec: FaceSpec
    model: Model
    average: AveragedNetworks
    generator_adam: torch.optim.Adam
    discriminator_adam: torch.optim.Adam
    features: dict[str, str]
    watchdog: Watchdog = field(default_factory=Watchdog)
    step: int = 0
    position: int = 0
    target: int | None = None
    seconds: float = 0.0
    rate: float = 1.0
    good: int | None = None
    world: int = 1
    datasets: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def new(cls, config: TrainConfig, plan: DataPlan, features: dict[str, str]) -> Session:
        """A run before its first step."""
        model = Model(config, plan.videos)
        return cls(
            config=config,
            spec=plan.card.spec.with_gaze(config.gaze),
            model=model,
            average=AveragedNetworks(model, config.ema),
            generator_adam=adam_for([model.embedder, model.generator], config.lr_generator, config),
            discriminator_adam=adam_for(
                [model.discriminator, model.columns], config.lr_discriminator, config
            ),
            features=features,
            datasets=(plan.card.sha256,),
            counts=plan.card.counts,
        )

    @property
    def done(self) -> bool:
        return self.target is not None and self.step >= self.target

    def set_rate(self, rate: float) -> None:
        """Multiply the configured learning rates by ``rate`` from here on."""
        self.rate = rate
        for adam, base in (
            (self.generator_adam, self.config.lr_generator),
            (self.discriminator_adam, self.config.lr_discriminator),
        ):
            for group in adam.param_groups:
                group["lr"] = base * rate

    def _names(self) -> dict[torch.Tensor, str]:
        return {p: name for name, p in self.model.named_parameters()}

    def save(self, run: RunFolder, losses: Mapping[str, float]) -> Path:
        """Write ``step-<n>`` and the run's card, and remove old checkpoints; the folder written.

        Args:
            losses: of the last steps, for the card.
        """
        folder = run.checkpoint(self.step)
        good = self.step if self.watchdog.healthy else self.good
        networks = {k: v for k, v in self.model.state_dict().items() if k != _W}
        names = self._names()
        adam = optimizer_tensors(self.generator_adam, names)
        adam |= optimizer_tensors(self.discriminator_adam, names)
        state = {
            "config": self.config.to_json(),
            "spec": self.spec.to_json(),
            "step": self.step,
            "position": self.position,
            "target": self.target,
            "seconds": self.seconds,
            "rate": self.rate,
            "good": good,
            "world": self.world,
            "workers": self.config.workers,
            "features": self.features,
            "watchdog": self.watchdog.to_json(),
            "videos": list(self.model.columns.ids),
            "losses": dict(losses),
            "datasets": list(self.datasets),
            "counts": self.counts,
            "torch": torch.__version__,
        }
        files = {
            NETWORKS: networks,
            AVERAGE: self.average.state_dict(),
            COLUMNS: {"weight": self.model.columns.weight},
            OPTIMIZERS: adam,
            RANDOM_STATE: {"torch": torch.get_rng_state()},
        }
        write_folder(folder, state, files, FORMAT)
        write_run_card(run, read_state(folder, FORMAT))
        self.good = good
        prune(run, self.config.keep, good)
        return folder

    def load(self, checkpoint: Checkpoint, *, weights_only: bool = False) -> None:
        """Take over a checkpoint written by :meth:`save`.

        Args:
            weights_only: for a rollback: position, time and rate stay as they are.

        Raises:
            FshError: if it is foreign, or of another configuration.
            SpecMismatch: if it was trained on faces cropped another way.
        """
        state, folder = checkpoint.state, checkpoint.folder
        require_same_run(self.config, state, folder)
        self.spec.require(
            FaceSpec.from_json(state["spec"]), mine="the data set", theirs=folder.name
        )
        networks, adam = checkpoint.tensors(NETWORKS), checkpoint.tensors(OPTIMIZERS)
        videos, old_ids = self.model.columns, state["videos"]
        networks[_W] = carry_over(
            checkpoint.tensors(COLUMNS)["weight"], old_ids, videos.weight.detach(), videos.ids
        )
        for key in ("exp_avg", "exp_avg_sq"):
            if (name := f"{_W}/{key}") in adam:
                blank = torch.zeros_like(videos.weight)
                adam[name] = carry_over(adam[name], old_ids, blank, videos.ids)
        try:
            self.model.load_state_dict(networks)
            self.average.load_state_dict(checkpoint.tensors(AVERAGE))
        except RuntimeError as error:
            line = str(error).splitlines()[0]
            raise FshError(f"tensors do not fit the networks ({line})", where=folder) from error
        for part in (self.generator_adam, self.discriminator_adam):
            part.state.clear()
            load_optimizer(part, self._names(), adam)
        self.step, self.good = state["step"], state["good"]
        self.datasets = tuple(dict.fromkeys([*state.get("datasets", []), *self.datasets]))
        if not weights_only:
            torch.set_rng_state(checkpoint.tensors(RANDOM_STATE)["torch"])
            self.position, self.target = state["position"], state["target"]
            self.seconds = state["seconds"]
            self.watchdog = Watchdog(**state["watchdog"])
            self.set_rate(state["rate"])


def require_same_run(config: TrainConfig, state: Mapping[str, Any], folder: Path) -> None:
    """Raise FshError unless a checkpoint's configuration and this one train the same thing."""
    mine = json.loads(json.dumps(config.resume_fields()))
    theirs = json.loads(json.dumps(TrainConfig.from_json(state["config"], folder).resume_fields()))
    different = [k for k in mine if mine[k] != theirs.get(k)]
    if different:
        name = different[0]
        raise FshError(
            f"this run was trained with {name} = {theirs.get(name)}, now it is {mine[name]}"
            + (f" (and {len(different) - 1} more differ)" if len(different) > 1 else ""),
            where=folder,
            remedy="use the same options, or name another --run",
        )
