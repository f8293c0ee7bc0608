"""A training run, opened: what is known of its newest sound checkpoint, and its networks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.run_layout import AVERAGE, CHECKPOINT_STATE, NETWORKS, RunFolder
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.trained_on import TrainedOn
from fsh.trainer.checkpoint import Checkpoint, list_checkpoints, newest_sound
from fsh.trainer.config import TrainConfig
from fsh.trainer.models.networks import Discriminator, Embedder, Generator, channels_last
from fsh.trainer.training.methods import METHODS

#: Which file of a checkpoint each network is taken from.
_FILES = {"embedder": AVERAGE, "generator": AVERAGE, "discriminator": NETWORKS}


@dataclass(frozen=True)
class Run:
    """One checkpoint of a training run.

    Attributes:
        name: the name of the folder that was opened.
        folder: the checkpoint's folder.
        config: the run's configuration; its ``device`` is where the networks go.
        spec: how the faces that it was trained on were cropped and landmarked.
        step: generator steps made.
        sha256: of the averaged weights.
        datasets: SHA-256 of every ``dataset.json`` trained on, the newest last.
        videos: ids of the videos trained on.
        checkpoint: the checkpoint itself.
    """

    name: str
    folder: Path
    config: TrainConfig
    spec: FaceSpec
    step: int
    sha256: str
    datasets: tuple[str, ...]
    videos: tuple[str, ...]
    checkpoint: Checkpoint = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: str | Path, progress: Progress | None = None, device: str = "cpu") -> Run:
        """Open a run's newest checkpoint, or one checkpoint.

        Of a run, the newest checkpoint that is sound; damaged ones are named and passed over. The
        files that the networks are in are hashed here, once, and nothing of them is loaded.

        Args:
            path: a run's folder, or a checkpoint's.
            device: where the networks will be used.

        Raises:
            FshError: if there is no checkpoint, or the one named is damaged.
        """
        path = Path(path)

        def opened(folder: Path) -> Run:
            return cls._of(path.name, Checkpoint.read(folder, (AVERAGE, NETWORKS)), device)

        if (path / CHECKPOINT_STATE).is_file():
            return opened(path)
        if not path.is_dir():
            raise FshError("no such folder", where=path, remedy="run `fsh train` first")
        run = newest_sound(RunFolder(path), opened, progress or Silent())
        if run is None and list_checkpoints(RunFolder(path)):
            raise FshError(
                "none of its checkpoints can be used",
                where=path,
                remedy="see above why; train it again with this version of fsh under another name",
            )
        if run is None:
            raise FshError("no checkpoint here", where=path, remedy="run `fsh train` first")
        return run

    @classmethod
    def _of(cls, name: str, checkpoint: Checkpoint, device: str) -> Run:
        state = checkpoint.state
        return cls(
            name=name,
            folder=checkpoint.folder,
            config=TrainConfig.from_json({**state["config"], "device": device}, checkpoint.folder),
            spec=FaceSpec.from_json(state["spec"]),
            step=state["step"],
            sha256=state["files"][AVERAGE],
            datasets=tuple(state.get("datasets", [])),
            videos=tuple(state["videos"]),
            checkpoint=checkpoint,
        )

    def trained_on(self) -> TrainedOn | None:
        """Whom the run saw.

        None if it was trained by an older fsh, or the checkpoint lies outside its run: then only
        :attr:`videos` is known.

        Raises:
            FshError: if the run's file is damaged.
        """
        return TrainedOn.read(RunFolder.of(self.folder).trained_on)

    @property
    def made_from(self) -> dict[str, str]:
        """SHA-256 of what a person made with this run is made of.

        The ``model``'s averaged weights, and the ``dataset`` it was last trained on, if known.
        """
        return {"model": self.sha256} | ({"dataset": self.datasets[-1]} if self.datasets else {})

    def require_personalizable(self) -> Self:
        """The run itself.

        Raises:
            FshError: if it is of a method that cannot be personalised.
        """
        if self.config.method != "fsth":
            raise FshError(
                f"{self.config.method} cannot be personalised: it is a method to compare with",
                where=self.folder,
                remedy="name a run of fsh's own method with --run",
            )
        return self

    def load_networks(self, device: str | None = None) -> TrainedNetworks:
        """The averaged embedder and generator and the newest discriminator, in evaluation mode.

        Args:
            device: where to; None: to the configuration's.

        Raises:
            FshError: if the tensors do not fit the configuration.
        """
        config = replace(self.config, device=device or self.config.device)
        method, parts = METHODS[config.method], {}
        files = {name: self.checkpoint.tensors(name) for name in (AVERAGE, NETWORKS)}
        for name, file in _FILES.items():
            network = getattr(method, name)(config.network)
            try:
                network.load_state_dict(_below(files[file], name))
            except RuntimeError as error:
                line = str(error).splitlines()[0]
                raise FshError(
                    f"tensors do not fit this version's networks ({line})",
                    where=self.folder,
                    remedy="train another run, or use the fsh that this one was trained with",
                ) from error
            parts[name] = channels_last(network.to(config.device))
        return TrainedNetworks(replace(self, config=config), **parts).eval()


class TrainedNetworks(nn.Module):
    """A run's networks on a device.

    Of an alternative method they are what it has in their place, to be used through
    :data:`fsh.trainer.training.methods.METHODS` only.

    Attributes:
        run: what they were loaded from.
    """

    embedder: Embedder
    generator: Generator
    discriminator: Discriminator

    def __init__(self, run: Run, embedder: Any, generator: Any, discriminator: Any) -> None:
        super().__init__()
        self.run = run
        self.embedder, self.generator, self.discriminator = embedder, generator, discriminator

    @property
    def config(self) -> TrainConfig:
        """The run's configuration, with the device that the networks are on."""
        return self.run.config

    @property
    def spec(self) -> FaceSpec:
        """How the faces that they were trained on were cropped and landmarked."""
        return self.run.spec


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of one module, by their names in it."""
    start = f"{prefix}."
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
