"""Which perceptual networks a run gets: VGGs, random ones where those are not to be had, dlib's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.progress import Progress
from fsh.schemas.recognizer import RECOGNIZER, model_file, read_recognizer
from fsh.schemas.weights import WeightFile, fetch_weights, torch_hub_folder, weights_folder
from fsh.trainer.config import TrainConfig
from fsh.trainer.models.face_features import FaceFeatures
from fsh.trainer.models.networks import channels_last
from fsh.trainer.models.vgg import (
    CAFFE_IMAGENET,
    FACE_DAG,
    TAPS_VGG19,
    TAPS_VGGFACE,
    VGG16,
    VGG19,
    Convention,
    Features,
    randomize,
)
from fsh.trainer.training.losses import Content

#: The Caffe VGG19 of Simonyan and Zisserman, converted by J. Johnson: BGR, 0…255, mean subtracted.
VGG19_WEIGHT = WeightFile(
    name="VGG19 (Caffe, ImageNet)",
    file="vgg19-d01eb7cb.pth",
    url="https://web.eecs.umich.edu/~justincj/models/vgg19-d01eb7cb.pth",
    sha256="d01eb7cb",
    license="CC-BY-4.0 (Visual Geometry Group)",
    size=574_700_000,
)
#: VGGFace as converted by S. Albanie (RGB order). Nobody publishes a hash of it, so fsh does not
#: fetch it: it is used if somebody put it there, and its hash is recorded.
VGGFACE_FILE = "vgg_face_dag.pth"


@dataclass(frozen=True)
class Network:
    """One of the two content networks: layers, taps, and how its weights want their input."""

    stages: tuple[int, ...]
    taps: tuple[int, ...]
    convention: Convention


NETWORKS = {
    "vgg19": Network(VGG19, TAPS_VGG19, CAFFE_IMAGENET),
    "vggface": Network(VGG16, TAPS_VGGFACE, FACE_DAG),
}


def load_content(config: TrainConfig, progress: Progress) -> tuple[Content, dict[str, str]]:
    """The content loss of a run, and per network what its weights are (for the record)."""
    record = dict.fromkeys((*NETWORKS, "face"), "off")
    found: dict[str, nn.Module] = {}
    if config.perceptual == "dlib":
        found["face"], record["face"] = _face()
    elif config.perceptual != "off":
        for name in NETWORKS:
            if getattr(config.loss, name):
                found[name], record[name] = _vgg(name, config, progress)
    for name in found:
        progress.say(f"content loss: {name} with {record[name]}")
    return Content(config.loss, {k: v.to(config.device) for k, v in found.items()}), record


@lru_cache(maxsize=1)
def _face() -> tuple[FaceFeatures, str]:
    """The recogniser's levels, read once a process: they never change."""
    path = model_file(RECOGNIZER)
    features = channels_last(FaceFeatures(read_recognizer(path)))
    return features, f"dlib's recogniser, SHA-256 {file_sha256(path)}"


def _vgg(name: str, config: TrainConfig, progress: Progress) -> tuple[Features, str]:
    """One of :data:`NETWORKS`, and what its weights are."""
    network = NETWORKS[name]
    features = Features(
        network.stages,
        None if config.loss.lab else network.taps,
        network.convention,
        average=config.loss.lab,
        width=1.0 if config.perceptual == "vgg" else config.perceptual_width,
    )
    source = _load(name, features, progress) if config.perceptual == "vgg" else ""
    if not source:
        randomize(features, config.seed)
        source = f"random (seed {config.seed}, width {features.width:g})"
    return features, source


def _load(name: str, features: Features, progress: Progress) -> str:
    """Load a network's weights; says what they are, or nothing if there are none (told aloud)."""
    try:
        if name == "vgg19":
            path = fetch_weights(VGG19_WEIGHT, progress, also=[torch_hub_folder()])
            told = f"{path.name} (SHA-256 checked)"
        else:
            path = weights_folder() / VGGFACE_FILE
            if not path.is_file():
                raise FshError(
                    "VGGFace weights are not there",
                    where=path,
                    remedy="put them there by hand for the paper's face term",
                )
            told = f"{path.name} (put there by hand, SHA-256 {file_sha256(path)})"
        features.load_state_dict(read_vgg(path, features))
    except FshError as error:
        progress.say(f"{name}: {error}; random features instead")
        return ""
    return told


def read_vgg(path: Path, features: Features) -> dict[str, torch.Tensor]:
    """The convolutions of a VGG state dict under this network's names, without unpickling objects.

    Knows torchvision's names (``features.0.weight``) and Caffe's (``conv1_1.weight``).

    Raises:
        FshError: if the file is no such state dict.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its zip reader and unpickler do
        raise FshError(f"not a file of tensors ({type(error).__name__})", where=path) from error
    if any(re.fullmatch(r"conv\d_\d\.weight", key) for key in stored):
        stored = {
            f"features.{place}.{kind}": stored[f"{caffe}.{kind}"]
            for caffe, place in features.caffe_names().items()
            for kind in ("weight", "bias")
            if f"{caffe}.{kind}" in stored
        }
    wanted = features.state_dict()
    wrong = [k for k, v in wanted.items() if k not in stored or stored[k].shape != v.shape]
    if wrong:
        raise FshError(f"{wrong[0]} is missing or of another shape", where=path)
    return {key: stored[key] for key in wanted}
