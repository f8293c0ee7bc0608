"""What a training run would do: configuration, sizes, memory, data. For ``fsh train --dry-run``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.run_layout import RunFolder
from fsh.trainer.checkpoint import list_checkpoints
from fsh.trainer.config import NetworkConfig, TrainConfig
from fsh.trainer.data.plan import plan_data
from fsh.trainer.models.blocks import without_spectral_norms
from fsh.trainer.models.inner_mouth import mouth_maps
from fsh.trainer.models.networks import parameter_count
from fsh.trainer.models.references import References, given_maps, mouth_side
from fsh.trainer.training.budget import planned_steps
from fsh.trainer.training.methods import METHODS


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that is known before the first step.

    Attributes:
        parameters: network to count; W is ``columns``.
        coefficients: length of ψ̂; 0 for methods without.
        memory: estimated bytes: of ``weights`` (with gradients, Adam's two moments and the running
            average) and of ``activations`` (kept for the backward pass of one batch).
        data: shards, samples, videos, loader processes.
        steps: planned, or None if ``minutes`` decide.
        checkpoint: step of the run's newest checkpoint, or None.
    """

    config: TrainConfig
    parameters: dict[str, int]
    coefficients: int
    memory: dict[str, int]
    data: dict[str, Any]
    steps: int | None
    checkpoint: int | None

    def to_json(self) -> dict[str, Any]:
        return {
            "preset": self.config.preset,
            **asdict(self),
            "losses": asdict(self.config.loss),
            "episodes_per_second": None,
        }


def plan_training(
    data: DataFolder, run: Path, config: TrainConfig, *, world: int = 1
) -> TrainingPlan:
    """Check the data and say what :func:`fsh.trainer.training.loop.train` would do.

    Raises:
        FshError: whatever the run itself would refuse at its start.
    """
    found = plan_data(data, workers=config.workers, world=world)
    networks = _networks(config)
    parameters = {name: parameter_count(network) for name, network in networks.items()}
    parameters["columns"] = len(found.videos) * config.network.embedding
    averaged = parameters["embedder"] + parameters["generator"]
    weights = 4 * (4 * sum(parameters.values()) + averaged)
    checkpoints = list_checkpoints(RunFolder(run))
    return TrainingPlan(
        config=config,
        parameters=parameters,
        coefficients=sum(getattr(networks["generator"], "sizes", [])),
        memory={"weights": weights, "activations": config.batch * activations(config)},
        data={
            "shards": len(found.shards),
            "samples": found.samples,
            "videos": len(found.videos),
            "workers": found.workers,
            "processes": world,
            "note": found.note,
            "spec": str(found.card.spec.with_gaze(config.gaze)),
        },
        steps=None if config.minutes and not config.steps else planned_steps(config, found, world),
        checkpoint=checkpoints[-1][0] if checkpoints else None,
    )


def activations(config: TrainConfig) -> int:
    """Bytes of all layers' outputs for one episode, an upper bound of what backward keeps."""
    sizes = config.network
    width = 2 if config.precision == "bf16" else 4
    total = 0

    def count(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal total
        if isinstance(output, Tensor) and output.dim() == 4:
            total += output.numel() * width

    with torch.device("meta"), without_spectral_norms():
        method, networks = METHODS[config.method], _networks(config).eval()
        for module in networks.modules():
            if not list(module.children()):
                module.register_forward_hook(count)
        side = sizes.size
        frames = torch.empty(1, config.frames, 3, side, side)
        one = torch.empty(1, 3, side, side)
        given = (_references(sizes),) if config.method == "fsth" and sizes.references else ()
        networks["generator"](one, method.condition(networks, frames, frames), *given)
        if method.adversarial:
            column = (torch.empty(1, sizes.embedding),) if config.method == "fsth" else ()
            for _ in ("real", "fake"):
                networks["discriminator"](one, one, *column)
    return total


def _references(sizes: NetworkConfig) -> References:
    """What the generator sees of photos, without values; it looks at maps alone."""
    side, patch = sizes.size, mouth_side(sizes.picture_size)
    given = torch.empty(1, given_maps(sizes.references), side, side)
    mouth = torch.empty(1, mouth_maps(), patch, patch)
    unseen = dict.fromkeys(References._fields, torch.empty(0))
    return References(**{**unseen, "maps": given, "mouth_maps": mouth})


def _networks(config: TrainConfig) -> nn.ModuleDict:
    """The method's networks without memory for their weights."""
    method, sizes = METHODS[config.method], config.network
    with torch.device("meta"), without_spectral_norms():
        return nn.ModuleDict(
            {
                "embedder": method.embedder(sizes),
                "generator": method.generator(sizes),
                "discriminator": method.discriminator(sizes),
            }
        )
