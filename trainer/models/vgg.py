"""VGG19 and VGGFace (VGG16) activations for the content losses.

The networks are written here; their weights come through the checked cache of
``fsh.schemas.weights``. Weights that come from Caffe expect 0…255 with the training set's mean
subtracted, and BGR unless whoever converted them turned the first layer round. Feeding another
order or scale is the commonest cause of failed reproductions, so the convention is part of the
network and has its own test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fsh.schemas.errors import FshError
from fsh.schemas.weights import WeightFile

#: Convolutions per stage; each stage but the last ends in a 2×2 pooling.
VGG19, VGG16 = (2, 2, 4, 4, 4), (2, 2, 3, 3, 3)
#: Layers whose outputs are compared, as in the paper: numbers in a flat list of convolutions, ReLUs
#: and poolings, from 0.
VGG19_LAYERS, VGGFACE_LAYERS = (1, 6, 11, 20, 29), (1, 6, 11, 18, 25)

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
class InputConvention:
    """How a network wants its input.

    Attributes:
        order: of the channels, ``rgb`` or ``bgr``.
        scale: the value of white; black is 0.
        mean, deviation: subtracted after scaling, and what the difference is divided by.
    """

    order: str
    scale: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)


CAFFE_IMAGENET = InputConvention("bgr", 255.0, (103.939, 116.779, 123.680))
#: VGGFace as converted by S. Albanie: its first layer was already turned to RGB.
FACE_DAG = InputConvention("rgb", 255.0, (129.1863, 104.7624, 93.5940))
TORCHVISION = InputConvention("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def normalize_input(images: Tensor, convention: InputConvention) -> Tensor:
    """RGB images (B, 3, H, W) in −1…1 as the network wants them."""
    x = (images + 1) * (convention.scale / 2)
    if convention.order == "bgr":
        x = x.flip(1)
    mean = x.new_tensor(convention.mean)[None, :, None, None]
    deviation = x.new_tensor(convention.deviation)[None, :, None, None]
    return (x - mean) / deviation


class VGGFeatures(nn.Module):
    """A frozen VGG up to the last layer whose output is compared.

    Args:
        stages: :data:`VGG19` or :data:`VGG16`.
        layers: numbers of the layers whose outputs are returned; None: every ReLU up to layer 30.
        convention: how it wants its input.
        average_pooling: instead of max pooling.
        width: share of the usual channels (random features only).
    """

    def __init__(
        self,
        stages: tuple[int, ...],
        layers: tuple[int, ...] | None,
        convention: InputConvention,
        *,
        average_pooling: bool = False,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        inputs = 3
        for stage, convolutions in enumerate(stages):
            channels = max(4, round(min(64 * 2**stage, 512) * width))
            for _ in range(convolutions):
                modules += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
                inputs = channels
            modules.append(nn.AvgPool2d(2) if average_pooling else nn.MaxPool2d(2))
        relus = tuple(i for i, module in enumerate(modules[:30]) if isinstance(module, nn.ReLU))
        self.layers = layers or relus
        self.features = nn.Sequential(*modules[: max(self.layers) + 1])
        self.convention, self.width = convention, width
        self.requires_grad_(False).eval()

    def caffe_names(self) -> dict[str, int]:
        """``conv<stage>_<number>`` to the layer's place."""
        names, stage, number = {}, 1, 1
        for place, layer in enumerate(self.features):
            if isinstance(layer, nn.Conv2d):
                names[f"conv{stage}_{number}"] = place
                number += 1
            elif not isinstance(layer, nn.ReLU):
                stage, number = stage + 1, 1
        return names

    def forward(self, images: Tensor) -> list[Tensor]:
        """The layers' outputs for RGB images (B, 3, H, W) in −1…1.

        Small images stop at the last layer at which a pixel is left of them.
        """
        x = normalize_input(images, self.convention)
        found = []
        for number, layer in enumerate(self.features):
            if min(x.shape[2:]) < 2 and not isinstance(layer, (nn.Conv2d, nn.ReLU)):
                break
            x = layer(x)
            if number in self.layers:
                found.append(x)
        return found


def randomize(features: VGGFeatures, seed: int) -> VGGFeatures:
    """Seeded He-normal weights, in place: activations keep their scale from layer to layer."""
    generator = torch.Generator().manual_seed(seed)
    for layer in features.features:
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.in_channels * 9
            noise = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.data.copy_(noise * (2.0 / fan_in) ** 0.5)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return features


def read_vgg(path: Path, features: VGGFeatures) -> dict[str, torch.Tensor]:
    """The convolutions of a VGG state dict under this network's names; nothing is unpickled.

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
