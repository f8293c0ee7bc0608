"""The networks of a run's content loss: VGGs, random ones where those cannot be had, or dlib's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from torch import nn

from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.progress import Progress
from fsh.schemas.recognizer import RECOGNIZER, model_file, read_recognizer
from fsh.schemas.weights import fetch_weights, torch_hub_folder, weights_folder
from fsh.trainer.config import TrainConfig
from fsh.trainer.models.face_features import FaceFeatures
from fsh.trainer.models.networks import channels_last
from fsh.trainer.models.vgg import (
    CAFFE_IMAGENET,
    FACE_DAG,
    VGG16,
    VGG19,
    VGG19_LAYERS,
    VGG19_WEIGHT,
    VGGFACE_FILE,
    VGGFACE_LAYERS,
    InputConvention,
    VGGFeatures,
    randomize,
    read_vgg,
)
from fsh.trainer.training.losses import ContentLoss


@dataclass(frozen=True)
class PerceptualNetwork:
    """One of the paper's two content networks.

    Attributes:
        stages: its convolutions. layers: whose outputs are compared.
        convention: how its weights want their input.
    """

    stages: tuple[int, ...]
    layers: tuple[int, ...]
    convention: InputConvention


#: By the name of the term's weight in :class:`fsh.trainer.config.LossConfig`.
VGGS = {
    "vgg19": PerceptualNetwork(VGG19, VGG19_LAYERS, CAFFE_IMAGENET),
    "vggface": PerceptualNetwork(VGG16, VGGFACE_LAYERS, FACE_DAG),
}


def load_content(config: TrainConfig, progress: Progress) -> tuple[ContentLoss, dict[str, str]]:
    """The content loss of a run, and per network what its weights are (for the record)."""
    record = dict.fromkeys((*VGGS, "face"), "off")
    found: dict[str, nn.Module] = {}
    if config.perceptual == "dlib":
        found["face"], record["face"] = _face()
    elif config.perceptual != "off":
        for name in VGGS:
            if getattr(config.loss, name):
                found[name], record[name] = _vgg(name, config, progress)
    for name in found:
        progress.say(f"content loss: {name} with {record[name]}")
    return ContentLoss(config.loss, {k: v.to(config.device) for k, v in found.items()}), record


@lru_cache(maxsize=1)
def _face() -> tuple[FaceFeatures, str]:
    """The recogniser's levels, read once per process: they never change."""
    path = model_file(RECOGNIZER)
    features = channels_last(FaceFeatures(read_recognizer(path)))
    return features, f"dlib's recogniser, SHA-256 {file_sha256(path)}"


def _vgg(name: str, config: TrainConfig, progress: Progress) -> tuple[VGGFeatures, str]:
    """One of :data:`VGGS`, and what its weights are."""
    network = VGGS[name]
    features = VGGFeatures(
        network.stages,
        None if config.loss.lab else network.layers,
        network.convention,
        average_pooling=config.loss.lab,
        width=1.0 if config.perceptual == "vgg" else config.perceptual_width,
    )
    source = _load(name, features, progress) if config.perceptual == "vgg" else ""
    if not source:
        randomize(features, config.seed)
        source = f"random (seed {config.seed}, width {features.width:g})"
    return features, source


def _load(name: str, features: VGGFeatures, progress: Progress) -> str:
    """Load a network's weights.

    Returns:
        What they are; empty if there are none, which ``progress`` is told.
    """
    try:
        if name == "vgg19":
            path = fetch_weights(VGG19_WEIGHT, progress, also=[torch_hub_folder()])
            source = f"{path.name} (SHA-256 checked)"
        else:
            path = weights_folder() / VGGFACE_FILE
            if not path.is_file():
                raise FshError(
                    "VGGFace weights are not there",
                    where=path,
                    remedy="put them there by hand for the paper's face term",
                )
            source = f"{path.name} (put there by hand, SHA-256 {file_sha256(path)})"
        features.load_state_dict(read_vgg(path, features))
    except FshError as error:
        progress.say(f"{name}: {error}; random features instead")
        return ""
    return source
