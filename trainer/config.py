"""Everything a training run depends on, as one frozen value that can be printed and compared.

What the values are for each preset stands in :mod:`fsh.trainer.presets`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsh.schemas.errors import FshError

VARIANTS = ("ft", "ff")
#: The paper's networks, and the alternatives to compare with (:mod:`fsh.trainer.training.methods`).
METHOD_NAMES = ("fsth", "x2face", "pix2pixhd")
#: Networks of the content loss: VGG19 and VGGFace, the same untrained, dlib's recogniser, none.
PERCEPTUAL = ("vgg", "random", "dlib", "off")
#: ``torch.compile``: not at all; one kernel for neighboring operations; recorded as CUDA graphs
#: too, which spares the launches of small networks.
COMPILE = ("off", "on", "graphs")


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the three networks; the classes are the same for every preset.

    Attributes:
        size: side of the images, pixels; a power of two.
        generator: channels of the generator's first and widest-resolution block.
        embedder, discriminator: the same for those two.
        max_channels: channels double per block up to here.
        embedding: N, the length of ê, of the columns of W and of w0.
        downs: down-blocks (and up-blocks) of the generator.
        residuals: AdaIN residual blocks between them.
        attention: self-attention at 32×32 in the down paths and at 64×64 in the generator's up
            path, as the paper's text has it. The authors' later code has none.
        references: photos that the generator copies from for each picture
            (:mod:`fsh.trainer.models.references`); 0: none, as in the paper.
        picture: side of the pictures put together of them in training; 0: ``size``. Drawn is at the
            photos' own.
    """

    size: int = 256
    generator: int = 64
    embedder: int = 64
    discriminator: int = 64
    max_channels: int = 512
    embedding: int = 512
    downs: int = 4
    residuals: int = 4
    attention: bool = True
    references: int = 0
    picture: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: Path | None = None) -> NetworkConfig:
        """As :meth:`TrainConfig.from_json`."""
        try:
            return cls(**_known(cls, data))
        except (AttributeError, TypeError, ValueError) as error:
            raise FshError(f"not a network's configuration ({error})", where=where) from error

    @property
    def picture_size(self) -> int:
        """Side of the pictures that training compares, pixels."""
        return self.picture or self.size


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms.

    Attributes:
        vgg19, vggface: weights of the paper's two content terms.
        face: weight of the term that takes their place with ``--perceptual dlib``.
        pixel: weight of an L1 on pixels, 0 in the paper.
        focus: additional weight of pixels near a drawn landmark in it; all pixels weigh 1.
        edges: weight of an L1 on the pictures' first differences, 0 in the paper.
        flow: weight of the unevenness of the residual flow; only with references.
        mouth: weight of what concerns the paint between the lips: an L1, feature matching and a
            tenth of an adversarial loss by a discriminator of its own; only with references.
        adversarial, feature_matching, match: weights of −D, L_FM and L_MCH.
        lab: the authors' later code: VGG ReLUs up to layer 30, average instead of max pooling,
            feature matching divided by the number of layers.
    """

    vgg19: float = 1.5e-1
    vggface: float = 2.5e-2
    face: float = 0.0
    pixel: float = 0.0
    focus: float = 0.0
    edges: float = 0.0
    flow: float = 0.0
    mouth: float = 0.0
    adversarial: float = 1.0
    feature_matching: float = 10.0
    match: float = 10.0
    lab: bool = False


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    A field that is added has as its default what was done before there was it: it is missing in
    the configurations of older runs. So have those of the parts.

    Attributes:
        preset, loss_preset: the names the values came from.
        method: whose networks and losses: one of :data:`METHOD_NAMES`.
        variant: ``"ft"`` (meant for fine-tuning) or ``"ff"`` (feed-forward: no L_MCH).
        frames: K, source frames per episode.
        batch: episodes per step and process.
        steps: generator steps; None: ``minutes`` decide, or else ``epochs``.
        minutes: wall-clock budget if ``steps`` is None; the number of steps is set from the speed
            of the first ones and then fixed.
        epochs: passes over the data if neither is given; one episode per sample and pass.
        lr_generator: Adam step of E and G; ``lr_discriminator`` that of D and W.
        betas: the paper names none; the authors' later code has (0, 0.999).
        discriminator_steps: D steps per G step.
        ema: decay of the running average of E and G that is used to personalise.
        other_clips: share of the episodes that show a person in two clips, where there are two in a
            shard; only with references, of which one has to be of the target's clip.
        augment: mirror and recolor whole episodes (:mod:`fsh.trainer.data.augmentation`);
            the paper, with its thousands of people, does not.
        gaze: draw irises into landmark images (:attr:`fsh.schemas.faces.spec.FaceSpec.gaze`).
        perceptual: one of :data:`PERCEPTUAL`.
        perceptual_width: share of VGG's channels that ``random`` features have.
        precision: ``fp32`` or ``bf16`` (autocast).
        checkpoint_every: steps between checkpoints; ``checkpoint_minutes`` apart at least once.
        keep: checkpoints kept.
        workers: loader processes per rank; 0: a thread of the training process.
        compile: ``off``, ``on`` or ``graphs`` (:mod:`fsh.trainer.training.compilation`).
    """

    preset: str = "paper"
    method: str = "fsth"
    loss_preset: str = "paper-v2"
    variant: str = "ft"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    frames: int = 8
    batch: int = 1
    steps: int | None = None
    minutes: float | None = None
    epochs: int = 75
    lr_generator: float = 5e-5
    lr_discriminator: float = 2e-4
    betas: tuple[float, float] = (0.0, 0.999)
    epsilon: float = 1e-5
    discriminator_steps: int = 2
    ema: float = 0.999
    other_clips: float = 0.0
    augment: bool = False
    gaze: bool = False
    perceptual: str = "vgg"
    perceptual_width: float = 1.0
    precision: str = "fp32"
    device: str = "cpu"
    seed: int = 0
    checkpoint_every: int = 1000
    checkpoint_minutes: float = 10.0
    keep: int = 3
    workers: int = 0
    compile: str = "off"

    def to_json(self) -> dict[str, Any]:
        """As JSON values, fields by name: what checkpoints and ``config.json`` hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: Path | None = None) -> TrainConfig:
        """What :meth:`to_json` gave, of this version of fsh or an older one.

        Args:
            where: the file or folder that it is in, for errors.

        Raises:
            FshError: if it is none, or has a field that this version does not know and that is on.
        """
        try:
            parts = {
                "network": NetworkConfig.from_json(data["network"], where),
                "loss": LossConfig(**_known(LossConfig, data["loss"])),
                "betas": tuple(data["betas"]),
            }
            return cls(**{**_known(cls, data), **parts})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise FshError(f"not a training configuration ({error})", where=where) from error

    def table(self) -> list[tuple[str, str]]:
        """(name, value) of every field, nested ones with dots, in the order declared."""
        return [(name, str(value)) for name, value in flatten(self.to_json()).items()]

    def resume_fields(self) -> dict[str, Any]:
        """The fields that a resumed run must share with its checkpoint, by flattened name."""
        free = {
            *("steps", "minutes", "epochs", "device", "checkpoint_every", "checkpoint_minutes"),
            *("keep", "workers", "compile"),
        }
        return {k: v for k, v in flatten(self.to_json()).items() if k not in free}


def _known(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a class's fields; others were taken out since, and change nothing if off.

    Raises:
        ValueError: naming one that is on.
    """
    known = {one.name for one in dataclasses.fields(kind)}
    for name, value in data.items():
        if name not in known and value and value != "off":
            raise ValueError(f"this version of fsh has no {name}, which is {value!r}")
    return {name: value for name, value in data.items() if name in known}


def flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined with dots."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
