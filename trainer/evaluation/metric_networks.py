"""LPIPS and FID's features: networks with published weights, where they can be had.

They need ``torchmetrics`` and ``torch-fidelity`` (``pip install "fsh[metrics]"``). Where a package
or a weight file is missing, the report says so in the number's place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.progress import Progress
from fsh.schemas.weights import WeightFile, fetch_weights, torch_hub_folder
from fsh.trainer.data.pictures import to_images

ALEXNET = WeightFile(
    name="AlexNet (torchvision, ImageNet)",
    file="alexnet-owt-7be5be79.pth",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    sha256="7be5be79",
    license="BSD-3-Clause (torchvision)",
    size=244_400_000,
)
INCEPTION = WeightFile(
    name="InceptionV3 (FID's, converted from TensorFlow 2015-12-05)",
    file="weights-inception-2015-12-05-6726825d.pth",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth",
    sha256="6726825d",
    license="Apache-2.0 (torch-fidelity; TensorFlow's weights)",
    size=95_600_000,
)
_BATCH = 16


@dataclass(frozen=True)
class MetricNetwork:
    """A network that a metric is computed with.

    Attributes:
        backbone: what it is, with its weights' hash.
        pairs: drawn and true pictures, both uint8 (N, H, H, 3), to distances float64 (N,); None if
            it compares no pairs.
        features: pictures to features (N, D); None if it has none.
    """

    backbone: str
    pairs: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    features: Callable[[np.ndarray], np.ndarray] | None = None


def load_metric_networks(
    progress: Progress,
    device: str = "cpu",
    *,
    alexnet: WeightFile = ALEXNET,
    inception: WeightFile = INCEPTION,
) -> tuple[dict[str, MetricNetwork], dict[str, str]]:
    """``lpips`` and ``fid`` as far as they can be had, and why the others cannot.

    Args:
        alexnet, inception: the weights' files; fetched if they are not there.
    """
    found: dict[str, MetricNetwork] = {}
    missing: dict[str, str] = {}
    for name, load, weight in (
        ("lpips", load_lpips, alexnet),
        ("fid", load_inception, inception),
    ):
        try:
            found[name] = load(progress, device, weight)
        except ImportError as error:
            missing[name] = f"needs {error.name or error}: pip install 'fsh[metrics]'"
        except FshError as error:
            missing[name] = str(error)
        except RuntimeError as error:  # torch-fidelity brings a torchvision, built for some torch
            missing[name] = f"torchvision does not fit this torch ({str(error).splitlines()[0]})"
        if name in missing:
            progress.say(f"{name.upper()} is not computed: {missing[name]}")
    return found, missing


class Lpips(nn.Module):
    """LPIPS 0.1 with AlexNet (Zhang et al. 2018): weighted distances of normalised activations.

    Written here because the libraries' own versions want torchvision, which has to be built for
    the very torch that is installed; the learned weights of the distances are ``torchmetrics``'.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        relu, pool = nn.ReLU(), nn.MaxPool2d(3, 2)
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, 4, 2), relu, pool, nn.Conv2d(64, 192, 5, padding=2), relu, pool),
            *(nn.Conv2d(192, 384, 3, padding=1), relu, nn.Conv2d(384, 256, 3, padding=1), relu),
            *(nn.Conv2d(256, 256, 3, padding=1), relu),
        )
        self.heads = nn.ParameterList(torch.ones(c) for c in (64, 192, 384, 256, 256))
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        self.requires_grad_(False).eval()

    def activations(self, images: Tensor) -> list[Tensor]:
        """After each ReLU, every position's vector scaled to length 1."""
        x = (images - self.shift) / self.scale
        found = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Images (B, 3, H, W) in −1…1 to distances (B,)."""
        pairs = zip(self.heads, self.activations(a), self.activations(b), strict=True)
        return torch.stack(
            [((x - y).square() * w[:, None, None]).sum(1).mean((1, 2)) for w, x, y in pairs]
        ).sum(0)


def read_lpips(backbone: Path, heads: Path) -> Lpips:
    """LPIPS with torchvision's AlexNet file and ``torchmetrics``' file of distance weights.

    Raises:
        FshError: if they hold other tensors.
    """
    network = Lpips()
    try:
        stored = torch.load(backbone, map_location="cpu", weights_only=True)
        network.features.load_state_dict(
            {key: stored[f"features.{key}"] for key in network.features.state_dict()}
        )
        linear = torch.load(heads, map_location="cpu", weights_only=True)
        for i, head in enumerate(network.heads):
            head.copy_(linear[f"lin{i}.model.1.weight"].flatten())
    except (KeyError, RuntimeError) as error:
        raise FshError(f"not LPIPS' weights ({error})", where=backbone) from error
    return network


def load_lpips(
    progress: Progress, device: str = "cpu", weight: WeightFile = ALEXNET
) -> MetricNetwork:
    """LPIPS, for pairs of pictures.

    Raises:
        ImportError: if ``torchmetrics`` is not installed.
        FshError: if the weights cannot be had.
    """
    package = find_spec("torchmetrics")
    if package is None or package.origin is None:
        raise ImportError(name="torchmetrics")
    heads = Path(package.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth"
    path = fetch_weights(weight, progress, also=[torch_hub_folder()])
    network = read_lpips(path, heads).to(device)

    def pairs(drawn: np.ndarray, real: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(drawn), _BATCH):
            a, b = (to_images(x[start : start + _BATCH], device) for x in (drawn, real))
            with torch.inference_mode():
                parts.append(network(a, b).cpu().numpy())
        return np.concatenate(parts).astype(np.float64)

    return MetricNetwork(f"AlexNet, LPIPS 0.1, weights {file_sha256(path)[:12]}", pairs=pairs)


def load_inception(
    progress: Progress, device: str = "cpu", weight: WeightFile = INCEPTION
) -> MetricNetwork:
    """FID's own InceptionV3, pooled features (N, 2048); it resizes to 299 px itself.

    Raises:
        ImportError: if ``torch-fidelity`` is not installed.
        FshError: if the weights cannot be had.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = fetch_weights(weight, progress, also=[torch_hub_folder()])
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    )
    network = network.to(device).eval()

    def features(pictures: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(pictures), _BATCH):
            some = torch.from_numpy(pictures[start : start + _BATCH]).to(device).movedim(-1, 1)
            with torch.inference_mode():
                parts.append(network(some.contiguous())[0].flatten(1).cpu().numpy())
        return np.concatenate(parts)

    return MetricNetwork(f"InceptionV3, weights {file_sha256(path)[:12]}", features=features)
