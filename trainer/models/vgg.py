"""VGG19 and VGGFace (VGG16) activations for the content losses.

The networks are written here; their weights come through the checked cache of
``fsh.schemas.weights``. Weights that come from Caffe expect 0…255 with the training set's mean
subtracted, and BGR unless whoever converted them turned the first layer round. Feeding another
order or scale is the commonest cause of failed reproductions, so the convention is part of the
network and has its own test.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Convolutions per stage; each stage but the last ends in a 2×2 pooling.
VGG19, VGG16 = (2, 2, 4, 4, 4), (2, 2, 3, 3, 3)
#: Layer numbers as in the paper: a flat list of convolutions, ReLUs and poolings, from 0.
TAPS_VGG19, TAPS_VGGFACE = (1, 6, 11, 20, 29), (1, 6, 11, 18, 25)


@dataclass(frozen=True)
class Convention:
    """How a network wants its input: channel order, scale of 0…1, mean and deviation after it."""

    order: str
    scale: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)


CAFFE_IMAGENET = Convention("bgr", 255.0, (103.939, 116.779, 123.680))
#: VGGFace as converted by S. Albanie: its first layer was already turned to RGB.
FACE_DAG = Convention("rgb", 255.0, (129.1863, 104.7624, 93.5940))
TORCHVISION = Convention("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def prepare(images: Tensor, convention: Convention) -> Tensor:
    """RGB images (B, 3, H, W) in −1…1 as the network wants them."""
    x = (images + 1) * (convention.scale / 2)
    if convention.order == "bgr":
        x = x.flip(1)
    mean = x.new_tensor(convention.mean)[None, :, None, None]
    deviation = x.new_tensor(convention.deviation)[None, :, None, None]
    return (x - mean) / deviation


class Features(nn.Module):
    """A frozen VGG up to its last tapped layer.

    Args:
        stages: :data:`VGG19` or :data:`VGG16`.
        taps: layer numbers whose outputs are returned; None: every ReLU up to layer 30.
        convention: how it wants its input.
        average: average instead of max pooling.
        width: share of the usual channels (random features only).
    """

    def __init__(
        self,
        stages: tuple[int, ...],
        taps: tuple[int, ...] | None,
        convention: Convention,
        *,
        average: bool = False,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for stage, convolutions in enumerate(stages):
            channels = max(4, round(min(64 * 2**stage, 512) * width))
            for _ in range(convolutions):
                layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
                inputs = channels
            layers.append(nn.AvgPool2d(2) if average else nn.MaxPool2d(2))
        relus = tuple(i for i, layer in enumerate(layers[:30]) if isinstance(layer, nn.ReLU))
        self.taps = taps or relus
        self.features = nn.Sequential(*layers[: max(self.taps) + 1])
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
        """Activations at the taps for RGB images (B, 3, H, W) in −1…1.

        Images smaller than the network's reach stop at the last tap that has a pixel left.
        """
        x = prepare(images, self.convention)
        found = []
        for number, layer in enumerate(self.features):
            if min(x.shape[2:]) < 2 and not isinstance(layer, (nn.Conv2d, nn.ReLU)):
                break
            x = layer(x)
            if number in self.taps:
                found.append(x)
        return found


def randomize(features: Features, seed: int) -> Features:
    """Seeded He-normal weights: activations keep their scale from layer to layer."""
    generator = torch.Generator().manual_seed(seed)
    for layer in features.features:
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.in_channels * 9
            noise = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.data.copy_(noise * (2.0 / fan_in) ** 0.5)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return features


def content(features: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
    """Sum over the taps of the mean absolute difference of activations; no gradient to ``real``."""
    with torch.no_grad():
        wanted = features(real)
    found = features(fake)
    return torch.stack([F.l1_loss(a, b) for a, b in zip(found, wanted, strict=True)]).sum()
