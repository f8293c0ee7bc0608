"""Everything a training run depends on, as one frozen value that can be printed and compared.

Sizes and weights are arXiv:1905.08233's where the paper or its authors' later code state them;
what the paper leaves open, and where ``small`` and ``nano`` leave it, is said beside the value.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import torch

from fsh.schemas.errors import FshError

VARIANTS = ("ft", "ff")
#: The paper's networks, and the alternatives it is compared with (:mod:`fsh.trainer.methods`).
METHODS = ("fsth", "x2face", "pix2pixhd")
PERCEPTUAL = ("vgg", "random", "off")
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


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms.

    Attributes:
        vgg19, vggface: weights of the two content terms.
        pixel: weight of an L1 on pixels, 0 in the paper (see :data:`NANO_LOSS`).
        adversarial, feature_matching, match: weights of −D, L_FM and L_MCH.
        lab: the authors' later code: VGG ReLUs up to layer 30, average instead of max pooling,
            feature matching divided by the number of layers.
    """

    vgg19: float = 1.5e-1
    vggface: float = 2.5e-2
    pixel: float = 0.0
    adversarial: float = 1.0
    feature_matching: float = 10.0
    match: float = 10.0
    lab: bool = False


LOSSES = {
    "paper-v1": LossConfig(vgg19=1e-2, vggface=2e-3, match=80.0),
    "paper-v2": LossConfig(vgg19=1.5e-1, vggface=2.5e-2, match=10.0),
    # Weights of the later code's own scale: its content terms run over all ReLUs.
    "lab": LossConfig(vgg19=1e-2, vggface=2e-3, match=1e-2, lab=True),
}


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        preset, loss_preset: the names the values came from.
        method: whose networks and losses: one of :data:`METHODS`.
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
        augment: mirror and recolor whole episodes (:func:`fsh.trainer.augment.varied`); the paper,
            with its thousands of people, does not.
        perceptual: ``vgg`` (VGG19 and VGGFace weights), ``random`` or ``off``.
        perceptual_width: share of VGG's channels that ``random`` features have.
        precision: ``fp32`` or ``bf16`` (autocast).
        checkpoint_every: steps between checkpoints; ``checkpoint_minutes`` apart at least once.
        keep: checkpoints kept.
        workers: loader processes per rank; 0: a thread of the training process.
        compile: ``off``, ``on`` or ``graphs`` (:mod:`fsh.trainer.compiling`).
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
    augment: bool = False
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
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainConfig:
        """Raises:
        FshError: if a field is missing or unknown (another version of fsh wrote it).
        """
        try:
            return cls(
                **{
                    **data,
                    "network": NetworkConfig(**data["network"]),
                    "loss": LossConfig(**data["loss"]),
                    "betas": tuple(data["betas"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise FshError(f"not a training configuration ({error})") from error

    def table(self) -> list[tuple[str, str]]:
        """(name, value) of every field, nested ones with dots, in the order declared."""
        return [(name, str(value)) for name, value in flatten(self.to_json()).items()]

    def identity(self) -> dict[str, Any]:
        """The fields that a resumed run must share with its checkpoint."""
        free = {
            *("steps", "minutes", "epochs", "device", "checkpoint_every", "checkpoint_minutes"),
            *("keep", "workers", "compile"),
        }
        return {k: v for k, v in flatten(self.to_json()).items() if k not in free}


def flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined with dots."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


#: What ``nano`` changes in the losses, and why. VGG19 and VGGFace cost ten times the networks
#: themselves at this size, and a CPU run has minutes: content is an L1 on pixels, plus a small L1
#: on the activations of a narrow random VGG, whose untrained first layers respond to edges at
#: several scales. Single trials of 40 s of CPU time, which changed other settings too, ended at an
#: L1 on unseen people of 0.46 to 0.56 with the random VGG at weight 1, and at 0.27 to 0.31 with it
#: at 0.03 or without. The other terms are scaled down with it.
NANO_LOSS: dict[str, Any] = {"pixel": 10.0, "vgg19": 0.03, "vggface": 0.0, "feature_matching": 1.0}
NANO_LOSS |= {"adversarial": 0.1, "match": 1.0}

#: What a preset becomes on a CPU, where a step of ``small`` as it stands takes 30 s. Random VGGs of
#: full width are nine tenths of that, and self-attention over 64×64 positions is more than half of
#: what then remains: without both, and with two source frames and one D step, it takes 1.2 s.
ON_CPU: dict[str, dict[str, Any]] = {
    "small": {
        "minutes": 120.0,
        "frames": 2,
        "lr_generator": 5e-4,
        "lr_discriminator": 5e-4,
        "discriminator_steps": 1,
        "ema": 0.998,
        "augment": True,
        "perceptual": "random",
        "perceptual_width": 0.125,
        "checkpoint_every": 500,
    }
}

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"network": NetworkConfig(), "batch": 1, "epochs": 75},
    "small": {
        "network": NetworkConfig(
            size=128,
            generator=32,
            embedder=32,
            discriminator=32,
            max_channels=256,
            embedding=256,
            downs=3,
        ),
        "batch": 4,
        "lr_generator": 1e-4,
    },
    # 64 px for two CPU cores. K = 2: the embedder sees K frames where G draws one, and with
    # eight it would be the largest cost; ê stays a mean, so any number of photos personalises.
    # Channels are multiples of 8 or 16: with 24 a convolution takes as long as with 32. One D step,
    # larger learning rates and a shorter EMA: the run is thousands of steps long, not millions.
    # Batch 4 did a little better than 8 in trials of 40 s; one seed each.
    "nano": {
        "network": NetworkConfig(
            size=64,
            generator=16,
            embedder=16,
            discriminator=8,
            max_channels=128,
            embedding=128,
            downs=3,
            residuals=4,
            attention=False,
        ),
        "frames": 2,
        "batch": 4,
        "minutes": 12.0,
        "lr_generator": 1e-3,
        "lr_discriminator": 1e-3,
        "discriminator_steps": 1,
        "ema": 0.995,
        "augment": True,
        "perceptual": "random",
        "perceptual_width": 0.125,
        "checkpoint_every": 500,
        "checkpoint_minutes": 3.0,
    },
}


def resolve(preset: str = "auto", device: str = "auto", **overrides: Any) -> TrainConfig:
    """The configuration of a run: preset, then device, then whatever the user set.

    Args:
        preset: ``paper``, ``small``, ``nano`` or ``auto`` (nano on a CPU, paper on a GPU).
        device: ``cpu``, ``cuda`` or ``auto``.
        overrides: fields of :class:`TrainConfig`; ``loss`` and ``loss_preset`` take the name of a
            loss preset, ``attention`` a bool. None means "not set".

    Raises:
        FshError: naming an unknown preset, field or value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise FshError("no CUDA device here", where="--device", remedy="use --device cpu")
    if preset == "auto":
        preset = "nano" if device == "cpu" else "paper"
    values = dict(PRESETS[_one_of("preset", preset, PRESETS)])

    loss_preset = given.pop("loss_preset", given.pop("loss", None))
    loss = LOSSES[_one_of("loss", loss_preset or "paper-v2", LOSSES)]
    if loss.lab:
        values |= {"discriminator_steps": 1}
    brief = preset == "nano"
    if device == "cpu" and preset in ON_CPU:
        brief = True
        values |= ON_CPU[preset]
        values["network"] = dataclasses.replace(values["network"], attention=False)
    # With VGG's own weights, or a loss preset asked for by name, the paper's weighting holds.
    if brief and loss_preset is None and given.get("perceptual") != "vgg":
        loss = dataclasses.replace(loss, **NANO_LOSS)
    if "attention" in given:
        values["network"] = dataclasses.replace(
            values["network"], attention=bool(given.pop("attention"))
        )
    variant = _one_of("variant", given.get("variant", "ft"), VARIANTS)
    if variant == "ff":
        loss = dataclasses.replace(loss, match=0.0)
        values["epochs"] = 150
    if device.startswith("cuda"):
        values |= {"precision": "bf16", "workers": 8}
    if "steps" in given:
        values["minutes"] = None
    known = {f.name for f in dataclasses.fields(TrainConfig)}
    if unknown := sorted(set(given) - known):
        raise FshError(f"unknown training option {', '.join(unknown)}", remedy="see --help")
    config = TrainConfig(
        **{
            **values,
            "preset": preset,
            "loss_preset": loss_preset or "paper-v2",
            "loss": loss,
            "device": device,
            **given,
        }
    )
    _one_of("method", config.method, METHODS)
    _one_of("perceptual", config.perceptual, PERCEPTUAL)
    _one_of("compile", config.compile, COMPILE)
    _one_of("precision", config.precision, ("fp32", "bf16"))
    for name in ("frames", "batch", "discriminator_steps", "checkpoint_every", "keep"):
        if getattr(config, name) < 1:
            raise FshError(f"{name} must be at least 1, not {getattr(config, name)}")
    return config


def _one_of(name: str, value: str, choices: Any) -> str:
    if value not in choices:
        raise FshError(f"unknown {name} {value!r}", remedy=f"use one of {', '.join(choices)}")
    return value
