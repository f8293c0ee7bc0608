"""What paints between the lips: the dark and the tongue, and over them two rows of teeth.

A network that answers a colour for each place learns the mean of all teeth, a pale band. So where
one tooth ends and the next begins, and how its edge is rounded, is drawn
(:mod:`fsh.trainer.models.teeth`), and learned is what is smooth: how far the rows reach, how much
of them is seen, how bright they are, and the colors.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fsh.trainer.models.blocks import spectral_norm
from fsh.trainer.models.inner_mouth import COLORS, QUARTERS, SHAPE, TEETH, WAVED
from fsh.trainer.models.teeth import (
    LOWER_BEND,
    LOWER_EDGE,
    LOWER_HEIGHT,
    UPPER_BEND,
    UPPER_EDGE,
    UPPER_HEIGHT,
)

#: Channels of the layers between, for what differs from place to place and for what does not.
_WIDTH, _NARROW = 32, 16
#: Of the upper and the lower row, in units of the mean head: how high its edge is, how far that may
#: be wrong, and how it bends with the square of the distance along the arch.
_EDGE = (UPPER_EDGE - UPPER_HEIGHT, LOWER_EDGE - LOWER_HEIGHT)
_EDGE_FREE, _EDGE_BEND = 0.03, (UPPER_BEND, LOWER_BEND)
#: How much lower a tooth's corners are than its middle, and over what length an edge is soft.
_ROUND, _SOFT = 0.03, 0.008
#: How dark the line between two teeth is, least and most; how wide; and a tooth's sides.
_GAP_LEAST, _GAP_MOST, _GAP_WIDTH, _SIDES = 0.15, 0.35, 0.01, 0.15
#: What is so much brighter than the lips, or more, counts as a tooth, whatever painted it; from so
#: far below the upper row's edge on, as one of the lower row.
_BRIGHTER, _BRIGHTER_BY = 0.06, 0.03
_BELOW, _BELOW_BY = 0.02, 0.01
#: Least color that is divided by.
_TINY = 0.02
#: The darkest that a tooth may be, as a share of its colour.
_DARKEST = 0.3
#: Teeth have this much of the skin's tint before anything is learned, as a logit.
_TINTED = -0.8
#: Rows fade beyond this place along the arch, so steeply.
_CORNER, _FADE = 0.1, 24.0
#: Between the rows, from so far away from their edges on, in units of the mean head, nothing is
#: brighter than this share of the lips: no light comes there.
_DEEP, _SHADE = 0.06, 0.4
#: The upper row is rather seen than not before anything is learned, as a logit.
_SEEN = (2.0, 0.0)


class InnerMouth(nn.Module):
    """Maps of mouths (B, C, S, S) to their colors (B, 3, S, S), −1…1, each place by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.behind = nn.Sequential(
            nn.Conv2d(WAVED + SHAPE + COLORS, _WIDTH, 1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, 3, 1),
        )
        self.brightness = nn.Sequential(
            nn.Conv2d(WAVED + SHAPE + 3, _WIDTH, 1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, 2, 1),
        )
        self.edges, self.seen = _of_mouth(SHAPE, 2), _of_mouth(SHAPE + 3, 4)
        self.tinted = nn.Parameter(torch.tensor(_TINTED))
        self.gaps = nn.Parameter(torch.zeros(2))

    def forward(self, maps: Tensor) -> Tensor:
        where, teeth, shape, colors = maps.split([WAVED, TEETH, SHAPE, COLORS], 1)
        # The skin's: of lips that are painted nothing follows for teeth.
        skin = colors[:, -3:]
        mouth_shape, mouth_skin = shape[:, :, :1, :1], skin[:, :, :1, :1]
        seen = 2 * self.seen(torch.cat([mouth_shape, mouth_skin], 1))
        reach = _EDGE_FREE * torch.tanh(self.edges(mouth_shape))
        tint = _tint(mouth_skin, torch.sigmoid(self.tinted))
        bright = torch.sigmoid(self.brightness(torch.cat([where, shape, skin], 1)) + 1)
        bright = _DARKEST + (1 - _DARKEST) * bright
        depth = _GAP_LEAST + (_GAP_MOST - _GAP_LEAST) * torch.sigmoid(self.gaps)
        picture = torch.tanh(self.behind(torch.cat([where, shape, colors], 1)))
        lips = colors[:, 3:9, :1, :1].unflatten(1, (2, 3)).mean(1)
        picture = 2 * _between((picture + 1) / 2, tint, (lips + 1) / 2) - 1
        heights, overs = where[:, 1:3] / QUARTERS, []
        for row in (0, 1):
            along, across, _ = teeth[:, 3 * row : 3 * row + 3].split(1, 1)
            edge = _EDGE[row] + reach[:, row : row + 1] + _EDGE_BEND[row] * along**2
            overs.append(edge - _ROUND * across.abs() ** 4 - heights[:, row : row + 1])
        picture = _shadowed(picture, lips, (torch.maximum(*overs) / -_DEEP).clamp(0, 1))
        for row in (1, 0):  # the upper one before the lower one
            along, across, _ = teeth[:, 3 * row : 3 * row + 3].split(1, 1)
            over = overs[row]
            fade = F.softplus(seen[:, 2 + row : 3 + row]) * (along.abs() - _CORNER).clamp_min(0)
            shown = torch.sigmoid(seen[:, row : row + 1] + _SEEN[row] - _FADE * fade)
            tooth = bright[:, row : row + 1] * (1 - _SIDES * across**4)
            shown = shown * torch.sigmoid(over / _SOFT)
            picture = torch.lerp(picture, 2 * tooth * tint - 1, shown)
        low = heights[:, :1] - _EDGE[0] - reach[:, :1]
        return _with_gaps(picture, lips, teeth[:, 2::3], depth, low)


def _shadowed(picture: Tensor, lips: Tensor, deep: Tensor) -> Tensor:
    """Pictures (B, 3, S, S), −1…1, where they are deep (B, 1, S, S) no brighter than a part of the
    lips (B, 3, 1, 1), and of their hue."""
    colors, lip = (picture + 1) / 2, (lips + 1) / 2
    bright, mean = colors.mean(1, keepdim=True), lip.mean(1, keepdim=True)
    dark = torch.minimum(bright, _SHADE * mean) * lip / mean.clamp_min(_TINY)
    return 2 * torch.lerp(colors, dark, deep) - 1


def _with_gaps(picture: Tensor, lips: Tensor, gaps: Tensor, depth: Tensor, low: Tensor) -> Tensor:
    """Pictures (B, 3, S, S), −1…1, in which what is brighter than the lips has lines between teeth.

    Args:
        lips: (B, 3, 1, 1), −1…1.
        gaps: (B, 2, S, S), distances of the nearest line of either row; depth: (2,), 0…1.
        low: (B, 1, S, S), how far below the upper row's edge.
    """
    lines = torch.exp(-((gaps / _GAP_WIDTH) ** 2)) * depth.view(1, 2, 1, 1)
    line = torch.lerp(lines[:, 1:], lines[:, :1], torch.sigmoid((_BELOW - low) / _BELOW_BY))
    brighter = (picture - lips).mean(1, keepdim=True) / 2
    is_tooth = torch.sigmoid((brighter - _BRIGHTER) / _BRIGHTER_BY)
    return (picture + 1) * (1 - line * is_tooth) - 1


def _between(colors: Tensor, tint: Tensor, lips: Tensor) -> Tensor:
    """Colors (B, 3, S, S), 0…1, as bright as they are and of hues from the light's to the lips'.

    What is behind lips is neither green nor blue, whatever was learned of other skin; in a grey
    photo it is grey.

    Args:
        tint: (B, 3, 1, 1), the light's. lips: (B, 3, 1, 1), 0…1.
    """
    bright = colors.mean(1, keepdim=True)
    red = (_saturation(colors) / _saturation(lips).clamp_min(_TINY)).clamp_max(1)
    light, lip = (one / one.mean(1, keepdim=True).clamp_min(_TINY) for one in (tint, lips))
    return (bright * torch.lerp(light, lip, red)).clamp_max(1)


def _saturation(colors: Tensor) -> Tensor:
    """(B, 1, S, S), 0…1: the largest of the colors (B, 3, S, S), 0…1, less the smallest, over the
    largest."""
    most, least = colors.amax(1, keepdim=True), colors.amin(1, keepdim=True)
    return (most - least) / most.clamp_min(_TINY)


def _of_mouth(known: int, answers: int) -> nn.Sequential:
    """A network for what holds for all of a mouth."""
    return nn.Sequential(nn.Conv2d(known, _NARROW, 1), nn.ReLU(), nn.Conv2d(_NARROW, answers, 1))


def _tint(skin: Tensor, share: Tensor) -> Tensor:
    """Colors (B, 3, 1, 1), 0…1, of the brightest teeth beside skin of colors in −1…1.

    So much of the light's tint as the skin has it: in a grey photo they are grey, whatever was
    learned of others.
    """
    seen = (skin + 1) / 2 + 0.05
    tint = (seen / seen.mean(1, keepdim=True)) ** share
    return tint / tint.amax(1, keepdim=True)


class MouthDiscriminator(nn.Module):
    """How real mouths look, place by place: a PatchGAN (Isola et al. 2017).

    Without one, what is between the lips is the mean of all mouths: neither teeth nor dark.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (4, 16, 32, 64)
        self.blocks = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, 2, 1))
            for before, after in itertools.pairwise(widths)
        )
        self.last = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, patches: Tensor, inside: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Patches (B, 3, S, S) in −1…1 and where mouths are in them (B, 1, S, S) to scores
        (B, 1, S/8, S/8), and every block's output."""
        x, features = torch.cat([patches, inside], 1), []
        for block in self.blocks:
            x = F.leaky_relu(block(x), 0.2)
            features.append(x)
        return self.last(x), features
