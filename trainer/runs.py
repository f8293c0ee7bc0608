"""A training run on disk, as those who use its networks see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.spec import FaceSpec
from fsh.trainer import checkpoint
from fsh.trainer.config import TrainConfig
from fsh.trainer.models.networks import channels_last
from fsh.trainer.person.personalize import newest_folder
from fsh.trainer.training.methods import METHODS


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
