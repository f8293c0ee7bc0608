"""A warping network in the manner of X2Face (Wiles et al., ECCV 2018), for comparison.

From the paper's description, not its code. An embedding network turns every photo into a face in a
pose of its own choosing, by resampling the photo's pixels; the faces of several photos are
averaged. A driving network reduces what drives to a vector and makes of it a second resampling, of
that face into the output. No colour is generated: each comes from a photo.

One departure: X2Face is driven by a picture of the driver, this network by the landmark image that
all methods here are driven by, so that no method sees more than another.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsh.trainer.config import NetworkConfig

#: Length of the driving vector, as in X2Face.
BOTTLENECK = 128


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.LeakyReLU(0.2),
    )


def level_channels(config: NetworkConfig) -> list[int]:
    """Channels of the levels from full size down to 4×4."""
    levels = config.size.bit_length() - 3  # 64 px: 64, 32, 16, 8, 4
    return [min(config.generator * 2**i, config.max_channels) for i in range(levels + 1)]


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Images (B, 3, H, H) sampled at each pixel's own place plus ``flow`` (B, 2, H, H).

    A flow of 1 is half the image's side; places outside read the edge.
    """
    eye = torch.eye(2, 3, device=flow.device, dtype=flow.dtype).expand(len(flow), 2, 3)
    places = F.affine_grid(eye, list(images.shape), align_corners=False)
    places = places + flow.movedim(1, -1)
    return F.grid_sample(images, places, padding_mode="border", align_corners=False)


class FlowNetwork(nn.Module):
    """Pictures to a flow: an encoder to 4×4 and a decoder back, with skips or a bottleneck.

    Args:
        bottleneck: pass a vector of :data:`BOTTLENECK` and nothing else from encoder to decoder;
            otherwise the decoder also gets each level's features.
    """

    def __init__(self, inputs: int, config: NetworkConfig, *, bottleneck: bool) -> None:
        super().__init__()
        wide = level_channels(config)
        self.bottleneck = bottleneck
        self.first = nn.Conv2d(inputs, wide[0], 3, padding=1)
        self.down = nn.ModuleList(_block(a, b, stride=2) for a, b in pairwise(wide))
        if bottleneck:
            self.narrow = nn.Linear(16 * wide[-1], BOTTLENECK)
            self.widen = nn.Linear(BOTTLENECK, 16 * wide[-1])
        skip = 1 if bottleneck else 2  # a skip doubles what the next block sees
        inward = [wide[-1], *(skip * channels for channels in reversed(wide[1:-1]))]
        self.up = nn.ModuleList(
            _block(a, b) for a, b in zip(inward, reversed(wide[:-1]), strict=True)
        )
        self.last = nn.Conv2d(skip * wide[0], 2, 3, padding=1)
        nn.init.zeros_(self.last.weight)  # the first warp changes nothing
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, inputs, H, H) to a flow (B, 2, H, H)."""
        x = self.first(pictures)
        skips = []
        for block in self.down:
            skips.append(x)
            x = block(x)
        if self.bottleneck:
            x = self.widen(self.narrow(x.flatten(1))).view_as(x)
        for block in self.up:
            x = block(F.interpolate(x, scale_factor=2.0))
            if not self.bottleneck:
                x = torch.cat([x, skips.pop()], 1)
        return self.last(x)


class FaceEmbedder(nn.Module):
    """A photo and its landmark image to the photo's pixels in the embedded face's pose."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.flow = FlowNetwork(6, config, bottleneck=False)

    def forward(self, images: Tensor, landmark_images: Tensor) -> Tensor:
        """(B, 3, H, H) twice to (B, 3, H, H)."""
        return warp(images, self.flow(torch.cat([landmark_images, images], 1)))


class DrivingNetwork(nn.Module):
    """A landmark image to a warp of the embedded face."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.flow = FlowNetwork(3, config, bottleneck=True)

    def forward(self, landmark_images: Tensor, face: Tensor) -> Tensor:
        """Landmark images (B, 3, H, H) and embedded faces (B or 1, 3, H, H) to images."""
        return warp(face.expand(len(landmark_images), -1, -1, -1), self.flow(landmark_images))
