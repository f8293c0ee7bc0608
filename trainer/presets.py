"""The presets: a run's configuration from a preset's name, the device and what the user set.

Sizes and weights are arXiv:1905.08233's where the paper or its authors' later code state them;
what the paper leaves open, and where ``small`` and ``nano`` leave it, is said beside the value.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import torch

from fsh.schemas.errors import FshError
from fsh.trainer.config import (
    COMPILE,
    METHOD_NAMES,
    PERCEPTUAL,
    VARIANTS,
    LossConfig,
    NetworkConfig,
    TrainConfig,
)

LOSSES = {
    "paper-v1": LossConfig(vgg19=1e-2, vggface=2e-3, match=80.0),
    "paper-v2": LossConfig(vgg19=1.5e-1, vggface=2.5e-2, match=10.0),
    # Weights of the later code's own scale: its content terms run over all ReLUs.
    "lab": LossConfig(vgg19=1e-2, vggface=2e-3, match=1e-2, lab=True),
}

#: Weight of first differences wherever they count.
_EDGES = 10.0
#: The losses where a CPU trains. VGG19 and VGGFace cost ten times the networks themselves at these
#: sizes, and a CPU run has minutes: content is an L1 on pixels, and one on the activations of
#: dlib's face recogniser (:mod:`fsh.trainer.models.face_features`), about half as large. Untrained
#: narrow VGGs in its place, as ``--perceptual random`` has them, made people worse by every measure
#: (docs/results.md, "Trying to lead"), and so did pixels that all count alike. Without an L1 on
#: first differences a weave of two pixels in green and purple lies over backgrounds and hair
#: (docs/decisions/0041-no-weave.md). The other terms are scaled down with these.
BRIEF_LOSS: dict[str, Any] = {"pixel": 10.0, "edges": _EDGES, "focus": 4.0, "face": 1.0}
BRIEF_LOSS |= {
    "vgg19": 0.03,
    "vggface": 0.0,
    "adversarial": 0.1,
    "feature_matching": 1.0,
    "match": 1.0,
}

#: Photos that the generator copies from for each picture, where it has references.
REFERENCES = 3
#: Share of the episodes whose photos but one are of another clip of the person: photos of several
#: scenes are then learned from as they are drawn from.
OTHER_CLIPS = 0.25
#: What references add to the losses; the paper's terms stay as they are.
REFERENCE_LOSS: dict[str, Any] = {"edges": _EDGES, "flow": 0.5, "mouth": 1.0}

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
        "perceptual": "dlib",
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
        "perceptual": "dlib",
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
            loss preset, ``attention`` and ``reference`` a bool. None means "not set".

    Raises:
        FshError: naming an unknown preset, field or value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    device = choose_device(device)
    if preset == "auto":
        preset = "nano" if device == "cpu" else "paper"
    values = dict(PRESETS[_one_of("preset", preset, PRESETS)])
    loss_preset = given.pop("loss_preset", given.pop("loss", None))
    on_cpu = ON_CPU.get(preset, {}) if device == "cpu" else {}
    brief = preset == "nano" or bool(on_cpu) or given.get("perceptual") == "dlib"
    loss, perceptual = _loss(loss_preset, given.get("perceptual"), brief=brief)
    if loss.lab:
        values |= {"discriminator_steps": 1}
    values |= on_cpu | perceptual
    attention = given.pop("attention", False if on_cpu else None)
    if attention is not None:
        values["network"] = dataclasses.replace(values["network"], attention=bool(attention))
    reference = given.pop("reference", preset == "nano" or bool(on_cpu))
    if reference and given.get("method", "fsth") == "fsth":
        values, loss = _with_references(values, loss)
    if _one_of("variant", given.get("variant", "ft"), VARIANTS) == "ff":
        loss = dataclasses.replace(loss, match=0.0)
        values["epochs"] = 150
    if device.startswith("cuda"):
        values |= {"precision": "bf16", "workers": 8}
    if "steps" in given:
        values["minutes"] = None
    known = {f.name for f in dataclasses.fields(TrainConfig)}
    if unknown := sorted(set(given) - known):
        raise FshError(f"unknown training option {', '.join(unknown)}", remedy="see --help")
    values |= {"preset": preset, "loss_preset": loss_preset or "paper-v2", "loss": loss}
    return _checked(TrainConfig(**{**values, "device": device, **given}))


def _with_references(values: dict[str, Any], loss: LossConfig) -> tuple[dict[str, Any], LossConfig]:
    """A preset whose generator copies from photos; pictures twice as large are compared."""
    network = values["network"]
    picture = min(2 * network.size, 256)
    network = dataclasses.replace(network, references=REFERENCES, picture=picture)
    frames = max(REFERENCES, values.get("frames", TrainConfig.frames))
    loss = dataclasses.replace(loss, **REFERENCE_LOSS)
    more = {"network": network, "frames": frames, "other_clips": OTHER_CLIPS}
    return values | more, loss


def choose_device(device: str) -> str:
    """The device itself; ``auto``: a GPU if PyTorch can use one here, else the CPU.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:0`` and so on, or ``auto``.

    Raises:
        FshError: if there is no such device, or a GPU is asked for and there is none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise FshError(f"unknown device {device!r}", remedy="use one of cpu, cuda, auto")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise FshError("no CUDA device here", where="device (--device)", remedy="use cpu")
    return device


def _loss(
    preset: str | None, perceptual: str | None, *, brief: bool
) -> tuple[LossConfig, dict[str, Any]]:
    """The weights of the losses, and what they imply for the content loss's networks.

    Args:
        preset: the loss preset's name, if the user named one.
        perceptual: the content loss's networks, if the user named some.
        brief: whether training is as short as on a CPU, or has no VGG's terms to weigh.

    Raises:
        FshError: an unknown preset, or one whose terms these networks do not have.
    """
    loss = LOSSES[_one_of("loss", preset or "paper-v2", LOSSES)]
    if perceptual == "dlib" and preset is not None:
        raise FshError(
            f"{preset} weighs VGG's terms, and --perceptual dlib has none",
            where="--loss",
            remedy="leave out one of the two",
        )
    if not brief:
        return loss, {}
    if preset is None and perceptual != "vgg":
        return dataclasses.replace(loss, **BRIEF_LOSS), {}
    # The paper's weighting holds, and its networks or what stands in for them.
    return loss, {"perceptual": "random"}


def _checked(config: TrainConfig) -> TrainConfig:
    """The configuration itself.

    Raises:
        FshError: naming a value that no field like that can have.
    """
    _one_of("method", config.method, METHOD_NAMES)
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
